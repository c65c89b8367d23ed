//! Calls that a server made a task of: the result comes later, by another request, and is observed then. The protocol's tasks are meant
//! here, not those of tokens.

use std::sync::Arc;

use contract::Contracts;
use engine::{Released, Spent};
use judge::digest::Digest;
use judge::observe::KeptBack;
use serde_json::Value;
use wire::frame::{Frame, Kind};

use crate::Core;
use crate::call::Call;
use crate::enforce::UnderWay;
use crate::refusal::Refusal;

/// A call that became a task.
pub struct Followed {
    call: Call,
    contracts: Arc<Contracts>,
    state: State,
}

enum State {
    /// The result is not there yet.
    Waiting(Spent),
    /// It is being observed.
    Reading,
    /// It was observed: this result, and nothing else, may be had again, without these items.
    Released(Digest, KeptBack),
}

/// Which task: of whose token, at which upstream, under the server's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FollowKey {
    /// The token's task.
    pub owner: Arc<str>,
    /// The upstream.
    pub index: usize,
    /// The server's id.
    pub id: String,
}

/// The server's id of the task that this result creates, if it does nothing else.
pub fn created_task(call: &Call, result: &Value) -> Option<String> {
    let is_task = result["resultType"] == "task" || (call.asks_for_task() && result["task"].is_object());
    let carries_more = ["content", "structuredContent", "contents", "result"]
        .iter()
        .any(|member| !result[*member].is_null() || !result["task"][*member].is_null());
    if !is_task || carries_more {
        return None;
    }
    [&result["task"]["taskId"], &result["taskId"]].into_iter().find_map(Value::as_str).map(str::to_owned)
}

impl Core {
    /// A call became a task.
    pub fn follow(&self, key: FollowKey, under_way: UnderWay) {
        let (call, contracts, spent) = under_way.into_parts();
        self.followed.lock().insert(key, Followed { call, contracts, state: State::Waiting(spent) });
    }

    /// Whether this task was created by a decided call of its owner.
    pub fn is_followed(&self, key: &FollowKey) -> bool {
        self.followed.lock().contains(key)
    }

    /// The upstream that keeps the task `id` of `owner`.
    pub fn keeper_of(&self, owner: &Arc<str>, id: &str) -> Option<usize> {
        (0..self.upstreams.len())
            .find(|index| self.is_followed(&FollowKey { owner: Arc::clone(owner), index: *index, id: id.to_owned() }))
    }

    /// An answer about a task: the result in it, if there is one, is observed before it is released.
    pub async fn observe_followed(&self, key: &FollowKey, request: &str, frame: Frame) -> Frame {
        if frame.kind() != Kind::Result {
            return frame;
        }
        // Older: the answer to `tasks/result` is the result. Newer: it stands in the answer to `tasks/get`.
        let pointer = match request {
            "tasks/result" => "/result",
            _ => "/result/result",
        };
        let Some(raw) = frame.at(pointer) else { return frame };
        let digest = Digest::of(raw.as_bytes());
        let result: Value = serde_json::from_str(raw).unwrap_or_default();
        if !result.is_object() {
            return frame;
        }
        let refused = |why: &str| Frame::error(frame.id(), -32603, why, None);
        let taken = {
            let mut followed = self.followed.lock();
            let Some(followed) = followed.get_mut(key) else { return refused("no such task was created here") };
            let parts = (followed.call.clone(), Arc::clone(&followed.contracts));
            match std::mem::replace(&mut followed.state, State::Reading) {
                State::Waiting(spent) => Ok((parts, spent)),
                State::Reading => return refused("the result of this task is being read by another request"),
                State::Released(of, kept) => {
                    followed.state = State::Released(of, kept.clone());
                    if of != digest {
                        return refused("the server gave another result than before");
                    }
                    Err((parts, kept))
                }
            }
        };
        let (read, kept, mut result, person) = match taken {
            Ok(((call, contracts), spent)) => {
                let person = spent.caller().chain.first().map(ToString::to_string).unwrap_or_default();
                match self.observe_result(&call, &contracts, spent, &result).await {
                    // It stays as being read: what a stopped chain did not get it never gets.
                    Ok((_, Released { stopped: Some(why), .. })) => return refused(&Refusal::stopped(&why).text()),
                    Ok((read, Released { kept, .. })) => {
                        if let Some(followed) = self.followed.lock().get_mut(key) {
                            followed.state = State::Released(digest, kept.clone());
                        }
                        (read, kept, result, person)
                    }
                    Err(_) => return refused("the result cannot be recorded and is therefore not released"),
                }
            }
            Err(((call, contracts), kept)) => {
                (call.target.observe(&contracts, &result), kept, result, "the requester".to_owned())
            }
        };
        if kept.is_nothing() {
            return frame;
        }
        read.withhold(&mut result, &kept, &person);
        let replaced = frame.splice(pointer, &result.to_string(), &self.result_frames);
        replaced.unwrap_or_else(|_| refused("the result cannot be cut down to what may be released"))
    }
}
