//! Who signs in, and who does not.

use super::*;
use crate::oauth::testing::{PASSWORD, World};

#[test]
fn passwords_are_kept_as_argon2id_with_a_salt_of_their_own() {
    let (one, two) = (password_hash(PASSWORD).expect("it is long enough"), password_hash(PASSWORD).expect("it is long enough"));
    assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
    assert_ne!(one, two);
    assert_eq!(password_hash("too short"), Err(PasswordError::Length));
    assert_eq!(password_hash(&"x".repeat(PASSWORD_BYTES_MAX + 1)), Err(PasswordError::Length));
}

#[tokio::test]
async fn the_answer_does_not_tell_an_unknown_name_from_a_wrong_password() {
    let world = World::new().await;
    let accounts = world.oauth.accounts();
    for (name, password) in [
        ("bo", "wrong"),
        ("nobody", PASSWORD),
        // An agent is no person.
        ("helper", PASSWORD),
        ("", PASSWORD),
        ("bo\n", PASSWORD),
        ("bo", &"x".repeat(PASSWORD_BYTES_MAX + 1)),
    ] {
        assert_eq!(accounts.sign_in(name, password).await.expect_err(name), SignInError::Wrong, "{name}");
    }
    let (person, session) = accounts.sign_in("bo", PASSWORD).await.expect("the right password");
    assert_eq!(accounts.signed_in(&session).await.expect("it works"), Some(person));
    assert_eq!(accounts.signed_in("another").await.expect("it works"), None);
    accounts.sign_out(&session).await.expect("it works");
    assert_eq!(accounts.signed_in(&session).await.expect("it works"), None);
}

#[tokio::test]
async fn after_some_wrong_passwords_even_the_right_one_has_to_wait() {
    let world = World::new().await;
    let accounts = world.oauth.accounts();
    for _ in 0..WRONG_MAX {
        assert_eq!(accounts.sign_in("bo", "wrong").await.expect_err("wrong"), SignInError::Wrong);
    }
    assert_eq!(accounts.sign_in("bo", PASSWORD).await.expect_err("too many"), SignInError::Pause);
    assert!(accounts.sign_in("ann", PASSWORD).await.is_ok(), "others are let in");
}

#[tokio::test]
async fn the_pause_ends_and_doubles() {
    let world = World::new().await;
    let accounts = world.oauth.accounts();
    let start = Moment(1_000_000_000);
    for _ in 0..WRONG_MAX {
        accounts.count("bo", start).expect("no pause yet");
    }
    assert_eq!(accounts.count("bo", start.after_ms(PAUSE_MS - 1)), Err(SignInError::Pause));
    let second = start.after_ms(PAUSE_MS);
    accounts.count("bo", second).expect("the pause is over");
    assert_eq!(accounts.count("bo", second.after_ms(2 * PAUSE_MS - 1)), Err(SignInError::Pause));
    accounts.count("bo", second.after_ms(2 * PAUSE_MS)).expect("the second pause is over");
    accounts.count("bo", second.after_ms(2 * PAUSE_MS + FORGOTTEN_MS)).expect("it is long ago");
    accounts.count("bo", second.after_ms(2 * PAUSE_MS + FORGOTTEN_MS)).expect("and counts from the beginning");
}
