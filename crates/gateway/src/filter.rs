//! Lists, cut down to what the caller could use, with the names that the caller knows.

use std::sync::Arc;

use judge::decide::could;
use judge::effect::Effect;
use judge::name::{PrincipalId, ResourceId};
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::{debug, warn};
use wire::frame::{Frame, Kind};
use wire::mcp::{List, keep_items, make_private};

use crate::Core;
use crate::config::{Mode, NAME_SEPARATOR};
use crate::exchange::Caller;
use crate::follow::FollowKey;
use crate::session::Scope;

/// A list that somebody asked for.
pub struct Wanted {
    list: List,
    mode: Mode,
    /// On whose behalf, and through whom.
    chain: Vec<PrincipalId>,
}

impl Wanted {
    /// The list that this caller asked for.
    #[must_use]
    pub fn of(caller: &Caller, list: List, mode: Mode) -> Self {
        Self { list, mode, chain: caller.judged.chain.clone() }
    }
}

/// The members of a list's items that a gateway needs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow)]
    name: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    uri: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    uri_template: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    task_id: Option<std::borrow::Cow<'a, str>>,
}

impl Core {
    /// The answer of upstream number `index` to a list request, as this caller may see it. What cannot be filtered is not shown.
    pub fn filtered(&self, scope: &Scope, index: usize, frame: Frame, wanted: &Wanted) -> Frame {
        if frame.kind() != Kind::Result {
            return frame;
        }
        let kept = keep_items(&frame, wanted.list, &self.result_frames, |item| self.shown(scope, index, wanted, item));
        let private = kept.map_err(|error| error.to_string()).and_then(|kept| {
            // Older revisions know no caching; their results stay as they are.
            if frame.at("/result/ttlMs").is_none() && frame.at("/result/cacheScope").is_none() {
                return Ok(kept);
            }
            make_private(&kept, &self.result_frames).map_err(|error| error.to_string())
        });
        private.unwrap_or_else(|error| {
            warn!(upstream = self.upstreams[index].name, error, "a list cannot be filtered and was withheld");
            Frame::error(frame.id(), -32603, "the upstream server gave a list that cannot be read", None)
        })
    }

    /// The item as this caller sees it; `None` if it does not.
    fn shown(&self, scope: &Scope, index: usize, wanted: &Wanted, item: &str) -> Option<String> {
        let Wanted { list, mode, chain } = wanted;
        let members: Item = serde_json::from_str(item).ok()?;
        match list {
            List::Tools | List::Prompts => {
                let name = members.name?;
                if *list == List::Tools {
                    let definition = serde_json::from_str(item).ok()?;
                    let contracts = self.contracts(index);
                    let standing = scope.links[index].shows(&contracts, &definition);
                    let is_granted = || contracts.tool(&name).is_some_and(|tool| self.could_call(index, chain, tool));
                    if *mode == Mode::Enforce && !(standing.is_accepted() && is_granted()) {
                        debug!(upstream = self.upstreams[index].name, tool = %name, "is left out of a list");
                        return None;
                    }
                }
                let seen = self.prefixed(index, &name);
                if seen == *name { Some(item.to_owned()) } else { renamed(item, &seen) }
            }
            List::Resources => {
                let uri = members.uri?;
                let contracts = self.contracts(index);
                let known = contracts.resource(&uri).filter(|resource| resource.is_accepted());
                let could_read = |id: &ResourceId| {
                    self.engine.view(|state, _| could(state, chain, &[Effect::Read].into(), std::slice::from_ref(id), false))
                };
                if *mode == Mode::Enforce && !known.and_then(|resource| resource.id_of(&uri)).is_some_and(|id| could_read(&id)) {
                    return None;
                }
                scope.lists_resource(index, &uri);
                Some(item.to_owned())
            }
            List::ResourceTemplates => {
                scope.lists_template(index, &members.uri_template?);
                Some(item.to_owned())
            }
            List::Tasks => {
                // To the server all tasks of tokens are one client; each sees its own.
                let key = FollowKey { owner: Arc::clone(&scope.task), index, id: members.task_id?.into_owned() };
                (*mode == Mode::Observe || self.is_followed(&key)).then(|| item.to_owned())
            }
        }
    }
}

impl Core {
    /// Whether there is a call of this tool for which the chain has what plain access control asks for.
    fn could_call(&self, index: usize, chain: &[PrincipalId], tool: &contract::Tool) -> bool {
        let named: Vec<&str> = tool.fixed_resources().collect();
        let itself = format!("tool:{}{NAME_SEPARATOR}{}", self.upstreams[index].name, tool.name());
        // A call that names nothing is one of the tool itself, as it is where the call is decided.
        let named = if tool.names_resources() { named } else { vec![itself.as_str()] };
        let fixed: Vec<ResourceId> = named.into_iter().filter_map(|name| ResourceId::parse(name).ok()).collect();
        self.engine.view(|state, _| could(state, chain, tool.effects(), &fixed, tool.chooses_resources()))
    }
}

/// The item with another name, every other byte as it was.
fn renamed(item: &str, name: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        name: &'a RawValue,
    }
    let own = serde_json::from_str::<Named>(item).ok()?.name.get();
    // `own` is a slice of `item`, so their distance is where it stands.
    let start = own.as_ptr() as usize - item.as_ptr() as usize;
    let name = serde_json::to_string(name).ok()?;
    Some(format!("{}{}{}", &item[..start], name, &item[start + own.len()..]))
}
