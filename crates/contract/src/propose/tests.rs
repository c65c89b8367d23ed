//! What requests ask for, as claims over a few tools of no product in particular.

use super::*;
use crate::Contracts;

struct Town;

impl Names for Town {
    fn person(&self, word: &str) -> Option<String> {
        ["Ann", "Bo"].contains(&word).then(|| word.to_owned())
    }

    fn is_place(&self, id: &str) -> bool {
        ["channel:general", "channel:news"].contains(&id)
    }
}

const CONTRACTS: &str = r#"
[[tool]]
name = "send_email"
about = "Sends an email to the recipients."
effects = ["send"]
recipients = "$.to"
[[tool]]
name = "send_channel_message"
effects = ["publish"]
resource = { at = "$.channel", as = "channel:{}" }
[[tool]]
name = "create_calendar_event"
about = "Creates a new calendar event. It also sends an email to the participants."
effects = ["write", "send"]
recipients = { at = "$.participants", required = false }
resource = { is = "calendar:own" }
[[tool]]
name = "deleteFile"
effects = ["destroy"]
resource = { at = "$.id", as = "file:{}" }
[[tool]]
name = "append_to_file"
effects = ["write"]
resource = { at = "$.id", as = "file:{}" }
[[tool]]
name = "transfer_money"
about = "Transfers money to an account."
effects = ["spend"]
amount = "$.amount"
[[tool]]
name = "read_file"
effects = ["read"]
"#;

fn proposed(request: &str) -> Proposal {
    let contracts = Contracts::parse("town", CONTRACTS).expect("well formed");
    let tools: Vec<&Tool> = contracts.tools().collect();
    propose(request, tools.iter().map(|tool| (tool.name(), *tool)), &Town)
}

fn tools(request: &str) -> Vec<String> {
    proposed(request).tools.into_keys().collect()
}

#[test]
fn what_is_only_read_proposes_nothing_else() {
    for request in [
        "How much did I spend in March?",
        "What did Ann write in the general channel yesterday?",
        "Which file was deleted last week, and who was paid?",
        "Summarise the event that Bo created.",
    ] {
        let proposal = proposed(request);
        assert!(proposal.tools.is_empty(), "{request}: {:?}", proposal.tools);
        assert_eq!(proposal.effects, BTreeSet::from([Effect::Read, Effect::Compute]), "{request}");
    }
}

#[test]
fn a_verb_with_its_object_proposes_the_tool() {
    for (request, wanted) in [
        ("Send an email to ann@example.org with the summary", &["send_email"][..]),
        ("Please delete minutes.docx", &["deleteFile"]),
        ("Pay the bill from the letter", &["transfer_money"]),
        ("Refund what they sent me", &["transfer_money"]),
        ("Add two ideas to the file ideas.md", &["append_to_file"]),
        ("Set up a meeting with Ann tomorrow", &["create_calendar_event"]),
        ("Post the summary in the general channel", &["send_channel_message"]),
    ] {
        let found = tools(request);
        assert!(wanted.iter().all(|tool| found.iter().any(|own| own == tool)), "{request}: {found:?}");
        let dangerous = ["deleteFile", "transfer_money"];
        assert!(
            found.iter().all(|tool| wanted.contains(&tool.as_str()) || !dangerous.contains(&tool.as_str())),
            "{request}: {found:?}"
        );
    }
}

#[test]
fn those_who_are_addressed_are_found_and_others_are_not() {
    let address = |request: &str| proposed(request).address.into_iter().collect::<Vec<_>>();
    assert_eq!(
        address("Summarise what Bo posted in news and send it to Ann"),
        ["Ann"],
        "where something was posted is no address"
    );
    assert_eq!(address("In the general channel, post that it is done"), ["channel:general"]);
    assert_eq!(address("Email ann@example.org and cc bo@example.org"), ["ann@example.org", "bo@example.org"]);
    let open = proposed("Send an email to whoever wrote most");
    assert!(open.address.is_empty() && open.address_open);
}

#[test]
fn doing_what_is_written_elsewhere_proposes_only_what_can_be_undone() {
    let proposal = proposed("Please do the actions specified in the mail from Ann");
    assert!(proposal.follows.is_some() && proposal.address_open);
    let found: Vec<&str> = proposal.tools.keys().map(String::as_str).collect();
    assert_eq!(found, ["append_to_file", "create_calendar_event", "send_channel_message", "send_email"]);
    assert!(proposed("Perform the following tasks: 1. list my files 2. show the newest").follows.is_none());
}

#[test]
fn what_is_told_to_whoever_asks_and_what_is_not_wanted_proposes_nothing() {
    for request in [
        "Tell me the name and the address of the place, with its rating.",
        "You can find her e-mail on the page of the event.",
        "Do not delete minutes.docx.",
        "Please never send a message about this.",
        "Set the place to the one in the mail and tell me whether it is far.",
    ] {
        let proposal = proposed(request);
        assert!(
            !proposal
                .tools
                .keys()
                .any(|tool| ["deleteFile", "send_email", "send_channel_message", "transfer_money"].contains(&tool.as_str())),
            "{request}: {:?}",
            proposal.tools
        );
        assert!(!proposal.address_open, "{request}");
    }
    assert!(tools("Do not forget to email ann@example.org").contains(&"send_email".to_owned()), "a reminder is no refusal");
    assert!(tools("Make a transfer to the landlord of the money for March").contains(&"transfer_money".to_owned()));
}

#[test]
fn one_way_of_telling_that_is_addressed_leaves_the_others_addressed_too() {
    let proposal = proposed("Summarise the page and send it to Ann");
    assert!(proposal.tools.len() > 1 && !proposal.address_open, "{proposal:?}");
}
