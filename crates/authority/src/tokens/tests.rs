//! Tokens: what they say, for how long, and that neither kind is taken for the other.

use super::*;
use judge::name::TaskId;
use judge::task::Budget;
use wire::token::SCIM_AUDIENCE;

const NOW: Moment = Moment(1_780_000_000_000);

fn name(text: &str) -> PrincipalId {
    PrincipalId::parse(text).expect("a name")
}

fn task() -> Task {
    Task {
        tools: None,
        address_open: false,
        id: TaskId::parse("t1").expect("a name"),
        requester: name("bo"),
        agent: name("helper"),
        purpose: "engineering".to_owned(),
        words: String::new(),
        address: vec!["bo".to_owned()],
        effects: None,
        resources: None,
        budget: Budget::default(),
        starts: NOW,
        ends: NOW.after_ms(900_000),
        until: None,
        parent: None,
        isolated: false,
        chain: Vec::new(),
    }
}

fn issuer() -> Issuer {
    Issuer::new("prudence", &Keys::ephemeral().expect("keys"))
}

#[test]
fn a_task_token_names_chain_and_task_and_ends_with_the_lease() {
    let issuer = issuer();
    let token = issuer.task_token(&task(), &[name("helper")], NOW).expect("a token");
    let claims = issuer.task(&token, NOW).expect("its own token");
    assert_eq!(claims.chain(), ["bo", "helper"]);
    assert_eq!(claims.task, "t1");
    assert!(issuer.task(&token, NOW.after_ms(900_000 + 1000 * LEEWAY_S - 1)).is_ok());
    assert!(matches!(issuer.task(&token, NOW.after_ms(900_000 + 1000 * LEEWAY_S)), Err(TokenRefusal::Expired { .. })));
}

#[test]
fn no_token_is_issued_for_a_lease_that_is_over() {
    assert!(issuer().task_token(&task(), &[name("helper")], NOW.after_ms(900_000)).is_err());
}

#[test]
fn no_kind_of_token_is_taken_for_another() {
    let issuer = issuer();
    let of_task = issuer.task_token(&task(), &[name("helper")], NOW).expect("a token");
    let of_person = issuer.person_token(&name("ann"), NOW, 60_000).expect("a token");
    assert_eq!(issuer.person(&of_person, NOW).expect("ann"), name("ann"));
    assert!(matches!(issuer.person(&of_task, NOW), Err(TokenRefusal::Kind { .. })));
    assert!(matches!(issuer.task(&of_person, NOW), Err(TokenRefusal::Kind { .. })));
    let of_client = issuer.client_token(&name("okta"), SCIM_AUDIENCE, NOW, 60_000).expect("a token");
    assert_eq!(issuer.client(&of_client, SCIM_AUDIENCE, NOW).expect("okta"), name("okta"));
    assert!(matches!(issuer.task(&of_client, NOW), Err(TokenRefusal::Kind { .. })));
    assert!(matches!(issuer.person(&of_client, NOW), Err(TokenRefusal::Kind { .. })));
    assert!(matches!(issuer.client(&of_task, SCIM_AUDIENCE, NOW), Err(TokenRefusal::Kind { .. })));
    assert!(matches!(issuer.client(&of_person, SCIM_AUDIENCE, NOW), Err(TokenRefusal::Kind { .. })));
    assert!(matches!(issuer.client(&of_client, "another-door", NOW), Err(TokenRefusal::Audience)));
}

#[test]
fn a_person_token_lasts_a_day_at_most() {
    let issuer = issuer();
    let token = issuer.person_token(&name("ann"), NOW, u64::MAX).expect("a token");
    assert!(issuer.person(&token, NOW.after_ms(PERSON_TOKEN_MS_MAX - 1000)).is_ok());
    assert!(issuer.person(&token, NOW.after_ms(PERSON_TOKEN_MS_MAX + 60_000)).is_err());
}

#[test]
fn another_issuers_token_is_not_believed() {
    let token = issuer().person_token(&name("ann"), NOW, 60_000).expect("a token");
    assert!(issuer().person(&token, NOW).is_err());
}
