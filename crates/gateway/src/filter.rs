//! Lists, cut down to what the caller could use, with the names that the caller knows.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::{debug, warn};
use wire::frame::{Frame, Kind};
use wire::mcp::{List, keep_items, make_private};

use crate::Core;
use crate::config::Mode;
use crate::follow::FollowKey;
use crate::session::Scope;

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
    pub fn filtered(&self, scope: &Scope, index: usize, frame: Frame, list: List, mode: Mode) -> Frame {
        if frame.kind() != Kind::Result {
            return frame;
        }
        let kept = keep_items(&frame, list, &self.result_frames, |item| self.shown(scope, index, list, mode, item));
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
    fn shown(&self, scope: &Scope, index: usize, list: List, mode: Mode, item: &str) -> Option<String> {
        let members: Item = serde_json::from_str(item).ok()?;
        match list {
            List::Tools | List::Prompts => {
                let name = members.name?;
                if list == List::Tools {
                    let definition = serde_json::from_str(item).ok()?;
                    let standing = scope.links[index].shows(&self.contracts(index), &definition);
                    if mode == Mode::Enforce && !standing.is_accepted() {
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
                let is_known = contracts.resource(&uri).is_some_and(|resource| resource.is_accepted());
                if mode == Mode::Enforce && !is_known {
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
                (mode == Mode::Observe || self.is_followed(&key)).then(|| item.to_owned())
            }
        }
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
