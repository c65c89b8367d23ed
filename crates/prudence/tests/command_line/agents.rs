//! Agents from the command line: registered, used, looked at, renewed for what they used, suspended, handed over; and everything that is no
//! registration.

use serde_json::{Value, json};

use crate::house::{House, codes, text, until};
use crate::{begun, done, prudence};

/// A house in which ann registered `scribe`, which may read and post, and vouches for nothing else.
fn house() -> House {
    let house = House::new("prudence.db", "");
    let changes = [json!({"put_person": {"id": "cy"}}), json!({"put_person": {"id": "hal", "status": "left"}})];
    import(&house, &changes);
    let registered = json_of(
        &house,
        &[
            "agent",
            "register",
            "scribe",
            "--owner",
            "ann",
            "--sponsor",
            "cy",
            "--about",
            "writes the minutes",
            "--purposes",
            "work,sales",
            "--effects",
            "read,publish,send",
            "--tools",
            "forum__*,mail__*",
            "--lease",
            "30d",
            "--by",
            "ann",
        ],
    );
    assert_eq!(registered["standing"], "in use", "{registered}");
    import(
        &house,
        &[json!({"put_grant": {"to": "scribe", "may": ["read", "publish", "destroy"], "on": ["note:*", "thread:*"]}})],
    );
    house
}

fn import(house: &House, changes: &[Value]) {
    let lines: String = changes.iter().map(|change| format!("{change}\n")).collect();
    house.write("changes.jsonl", &lines);
    done(house.path(), &["directory", "import", "changes.jsonl"]);
}

fn json_of(house: &House, arguments: &[&str]) -> Value {
    let said = done(house.path(), &[&["-o", "json"], arguments].concat());
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// What a command says that must be refused, and its exit code.
fn refused(house: &House, arguments: &[&str]) -> (Option<i32>, String) {
    let output = prudence(house.path(), arguments);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn task(house: &House) -> String {
    let arguments =
        ["task", "start", "--requester", "bo", "--agent", "scribe", "--purpose", "work", "--lease", "1h", "--token-only"];
    done(house.path(), &arguments).trim().to_owned()
}

#[test]
fn an_agent_is_registered_used_looked_at_and_goes_on_with_what_it_used() {
    let house = house();
    let serving = house.serve();
    let client = serving.client(&task(&house));
    let posted = client.post("thread:1", "good morning").expect("it answers");
    assert_eq!(text(&posted), "posted", "{posted}");
    let listed = done(house.path(), &["agent", "list"]);
    assert!(
        listed.lines().any(|line| line.starts_with("scribe") && line.contains("in use") && line.contains("in 29 d")),
        "{listed}"
    );
    assert!(!listed.contains('\u{1b}'), "plain when it is piped");

    let looked = json_of(&house, &["agent", "review", "scribe"]);
    let review = &looked["review"];
    assert_eq!((&review["calls"]["used"], &review["tasks"]), (&json!(1), &json!(1)), "{review}");
    assert_eq!(review["requesters"]["bo"]["used"], 1);
    let permissions = &review["permissions"];
    let used = |kind: &str| -> Vec<(String, u64)> {
        let all = permissions[kind].as_array().expect("a list");
        all.iter().map(|one| (one["name"].as_str().unwrap_or_default().to_owned(), one["used"].as_u64().unwrap_or(99))).collect()
    };
    let pairs = |pairs: &[(&str, u64)]| pairs.iter().map(|(name, used)| ((*name).to_owned(), *used)).collect::<Vec<_>>();
    assert_eq!(used("effects"), pairs(&[("read", 0), ("send", 0), ("publish", 1)]));
    assert_eq!(used("purposes"), pairs(&[("sales", 0), ("work", 1)]));
    assert_eq!(permissions["grants"][0]["unused"], json!(["read", "destroy"]), "{permissions}");
    let told = done(house.path(), &["agent", "review", "scribe"]);
    assert!(told.contains("sales never") && told.contains("ann, cy can renew it"), "{told}");
    assert!(json_of(&house, &["agent", "show", "scribe"])["reviewed"].is_null(), "looking renews nothing");

    let (code, said) = refused(&house, &["agent", "review", "scribe", "--by", "bo", "--renew-for", "90d"]);
    assert_eq!(code, Some(5));
    assert!(said.contains("ann or cy has to say so"), "{said}");
    let renewed = json_of(&house, &["agent", "review", "scribe", "--by", "cy", "--renew-for", "90d", "--tighten"]);
    let agent = &renewed["agent"];
    assert_eq!((&agent["effects"], &agent["purposes"]), (&json!(["publish"]), &json!(["work"])), "{agent}");
    assert_eq!(agent["reviewed"]["by"], "cy");
    let read = client.call("read", &json!({ "note": "note:secret" })).expect("it answers");
    assert_eq!(codes(&read), ["lease"], "it never read anything before: {read}");
    assert!(text(&read).contains("registered for less"), "{read}");
    let (code, said) = refused(&house, &["task", "start", "--requester", "bo", "--agent", "scribe", "--purpose", "sales"]);
    assert_eq!((code, said.contains("not registered for the purpose `sales`")), (Some(5), true), "{said}");
    let again = json_of(&house, &["agent", "review", "scribe"]);
    assert_eq!(again["review"]["calls"], json!({"used": 0, "asked": 0, "denied": 1}), "since it was renewed: {again}");
    let ledger = done(house.path(), &["ledger", "show"]);
    assert!(ledger.contains("agent scribe registered by ann"), "{ledger}");
    assert!(ledger.contains("agent scribe renewed for what it used by cy"), "{ledger}");
}

#[test]
fn a_suspended_agent_waits_and_goes_on() {
    let house = house();
    let serving = house.serve();
    let client = serving.client(&task(&house));
    done(house.path(), &["agent", "suspend", "scribe", "--by", "bo", "--why", "it answers everybody"]);
    let said = client.post("thread:1", "hello").expect("it answers");
    assert_eq!(codes(&said), ["authentication"], "{said}");
    assert!(text(&said).contains("bo has suspended scribe"), "{said}");
    assert!(done(house.path(), &["agent", "show", "scribe"]).contains("it answers everybody"));
    let (code, said) = refused(&house, &["agent", "resume", "scribe", "--by", "bo"]);
    assert_eq!((code, said.contains("does not answer for")), (Some(5), true), "who suspends it need not answer for it: {said}");
    let start = ["task", "start", "--requester", "bo", "--agent", "scribe", "--purpose", "work"];
    assert_eq!(refused(&house, &start).0, Some(5));
    done(house.path(), &["agent", "resume", "scribe", "--by", "ann"]);
    assert_eq!(text(&client.post("thread:1", "hello again").expect("it answers")), "posted");
    assert_eq!(refused(&house, &["agent", "resume", "scribe", "--by", "ann"]).0, Some(5), "it is not suspended");
}

#[test]
fn a_registration_that_is_over_or_whose_owner_left_ends_it() {
    let house = house();
    let serving = house.serve();
    let client = serving.client(&task(&house));
    let agent = |more: &Value| {
        let mut agent = json!({"id": "scribe", "owner": "ann"});
        agent.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({ "put_agent": agent })
    };
    import(&house, &[agent(&json!({"registration": {"sponsor": "cy", "ends": 1_000}}))]);
    let said = client.post("thread:1", "hello").expect("it answers");
    assert_eq!(codes(&said), ["lease"], "{said}");
    assert!(text(&said).contains("ann, cy has to look at what it did, and to renew it"), "{said}");
    let listed = done(house.path(), &["agent", "list"]);
    assert!(listed.contains("scribe lapsed needs ann or cy: `prudence agent review scribe`"), "{listed}");
    done(house.path(), &["agent", "review", "scribe", "--by", "cy", "--renew-for", "1h"]);
    assert_eq!(text(&client.post("thread:1", "hello").expect("it answers")), "posted");

    import(&house, &[agent(&json!({"owner": "hal"}))]);
    let said = client.post("thread:1", "hello").expect("it answers");
    assert_eq!(codes(&said), ["lease"], "{said}");
    assert!(text(&said).contains("nobody who is here owns scribe"), "{said}");
    assert!(done(house.path(), &["agent", "show", "scribe"]).contains("hal (not here any more)"));
    done(house.path(), &["agent", "hand-over", "scribe", "--to", "cy", "--by", "bo"]);
    assert_eq!(text(&client.post("thread:1", "hello").expect("it answers")), "posted");
}

#[test]
fn what_is_no_registration_is_refused_and_changes_nothing() {
    let house = house();
    let register = |more: &[&str]| refused(&house, &[&["agent", "register", "new"], more].concat());
    for (more, code, sentence) in [
        (&["--owner", "mallory", "--by", "ann"][..], 5, "`mallory` is no active person"),
        (&["--owner", "hal", "--by", "ann"], 5, "`hal` is no active person"),
        (&["--owner", "new", "--by", "ann"], 5, "`new` cannot answer for itself"),
        (&["--owner", "helper", "--by", "ann"], 5, "`helper` is an agent"),
        (&["--owner", "ann", "--by", "helper"], 5, "`helper` is an agent"),
        (&["--owner", "ann", "--by", "mallory"], 5, "`mallory` is no active person"),
        (&["--owner", "ann", "--sponsor", "ann", "--by", "ann"], 5, "somebody else has to vouch"),
        (&["--owner", "ann", "--by", "ann", "--lease", "0s"], 5, "a registration of 0 ms"),
        (&["--owner", "ann", "--by", "ann", "--lease", "366d 1ms"], 2, "expected a span of time"),
        (&["--owner", "ann", "--by", "ann", "--lease", "-5m"], 2, ""),
        (&["--owner", "ann", "--by", "ann", "--lease", "99999999999999999999d"], 2, "expected a span of time"),
        (&["--owner", "ann", "--by", "ann", "--effects", "everything"], 2, "expected one of read"),
        (&["--owner", "ann", "--by", "ann", "--tools", "*__drop"], 5, "may only stand at the end"),
        (&["--owner", "ann", "--by", "ann", "--purposes", ""], 5, "each of 1 to 512 bytes"),
        (&["--owner", "ann"], 2, "--by"),
    ] {
        let (found, said) = register(more);
        assert_eq!(found, Some(code), "{more:?}: {said}");
        assert!(said.contains(sentence), "{more:?}: {said}");
    }
    let known = refused(&house, &["agent", "register", "scribe", "--owner", "ann", "--by", "ann"]);
    assert_eq!((known.0, known.1.contains("known already")), (Some(5), true), "{}", known.1);
    let person = refused(&house, &["agent", "register", "bo", "--owner", "ann", "--by", "ann"]);
    assert_eq!((person.0, person.1.contains("known already")), (Some(5), true), "{}", person.1);
    let unused = refused(&house, &["agent", "review", "scribe", "--by", "ann", "--renew-for", "90d", "--tighten"]);
    assert_eq!((unused.0, unused.1.contains("nothing would be left")), (Some(5), true), "{}", unused.1);
    let never = refused(&house, &["agent", "review", "scribe", "--by", "ann", "--renew-for", "1s"]);
    assert_eq!((never.0, never.1.contains("a registration of 1000 ms")), (Some(5), true), "{}", never.1);
    for unknown in
        [&["agent", "show", "nothing"][..], &["agent", "review", "nothing"], &["agent", "suspend", "nothing", "--by", "ann"]]
    {
        let (code, said) = refused(&house, unknown);
        assert_eq!((code, said.contains("there is no agent `nothing`")), (Some(1), true), "{said}");
    }
    let declared = refused(&house, &["agent", "suspend", "helper", "--by", "ann"]);
    assert_eq!((declared.0, declared.1.contains("the configuration file states this")), (Some(5), true), "{}", declared.1);
    let agents = json_of(&house, &["agent", "list"]);
    let ids: Vec<&str> = agents["agents"].as_array().expect("a list").iter().filter_map(|agent| agent["id"].as_str()).collect();
    assert_eq!(ids, ["helper", "scribe"], "nothing of it holds");
}

#[test]
fn there_may_be_no_agent_and_no_ledger_yet() {
    let folder = begun();
    let code = |arguments: &[&str]| prudence(folder.path(), arguments).status.code();
    assert_eq!(code(&["agent", "list"]), Some(1), "there is no ledger yet");
    assert_eq!(code(&["agent", "register", "scribe", "--owner", "bo", "--by", "bo"]), Some(0), "the first entry is its own");
    assert_eq!(code(&["agent", "list"]), Some(0));
}

#[test]
fn a_task_stops_at_its_checkpoint_until_its_requester_renews_it() {
    let house = House::new("prudence.db", "");
    let serving = house.serve();
    let start =
        ["task", "start", "--requester", "bo", "--agent", "helper", "--purpose", "work", "--lease", "1h", "--checkpoint", "1s"];
    let started = json_of(&house, &start);
    let task = started["task"].as_str().expect("an id");
    let shown =
        until("the lease is over", || Some(json_of(&house, &["task", "show", task])).filter(|task| task["standing"] == "over"));
    assert!(shown["until"].is_string(), "it was agreed to for an hour: {shown}");
    let renew = |more: &[&str]| refused(&house, &[&["task", "renew", task], more].concat());
    for (more, code, sentence) in [
        (&["--by", "ann"][..], 5, "bo has to say so"),
        (&["--by", "mallory"], 5, "`mallory` is no active person"),
        (&["--by", "helper"], 5, "`helper` is no active person"),
        (&["--by", "bo", "--for", "0s"], 5, "a lease of 0 ms"),
        (&["--by", "bo", "--for", "31d"], 5, "between 1 and"),
        (&["--by", "bo", "--for", "soon"], 2, "expected a span of time"),
        (&[], 2, "--by"),
    ] {
        let (found, said) = renew(more);
        assert_eq!((found, said.contains(sentence)), (Some(code), true), "{more:?}: {said}");
    }
    let unknown = refused(&house, &["task", "renew", "t-nothing", "--by", "bo"]);
    assert_eq!((unknown.0, unknown.1.contains("there is no task")), (Some(1), true), "{}", unknown.1);
    let renewed = json_of(&house, &["task", "renew", task, "--by", "bo", "--for", "1h"]);
    let client = serving.client(renewed["token"].as_str().expect("a token"));
    assert_eq!(text(&client.post("thread:1", "going on").expect("it answers")), "posted");
    assert!(done(house.path(), &["ledger", "show", "--task", task]).contains("by bo"));
    done(house.path(), &["task", "end", task]);
    let (code, said) = renew(&["--by", "bo"]);
    assert_eq!((code, said.contains("was ended")), (Some(5), true), "{said}");
}
