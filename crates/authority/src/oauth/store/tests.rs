//! What the store keeps, and how it lets go.

use super::*;

const NOW: Moment = Moment(1_800_000_000_000);

fn family(id: &str) -> Family {
    Family {
        id: id.to_owned(),
        client: "app".to_owned(),
        actors: vec!["helper".to_owned(), "sub".to_owned()],
        task: "task-1".to_owned(),
        key: Some("thumb".to_owned()),
        ends: NOW.after_ms(1_000),
    }
}

#[tokio::test]
async fn a_refresh_token_counts_once_and_a_second_use_revokes_its_family() {
    let store = Store::in_memory().expect("a store");
    store.begin(family("f"), hash("one")).await.expect("it is kept");
    let rotate = async |presented: &str, next: &str| {
        store.rotate(hash(presented), hash(next), "app", Some("thumb"), NOW).await.expect("it works")
    };
    assert_eq!(rotate("one", "two").await, Rotated::Fresh(family("f")));
    assert_eq!(rotate("two", "three").await, Rotated::Fresh(family("f")));
    assert_eq!(rotate("one", "four").await, Rotated::Reused(family("f")));
    assert_eq!(rotate("three", "five").await, Rotated::Unknown, "the newest is worth nothing either");
    assert_eq!(rotate("four", "six").await, Rotated::Unknown, "and the thief got none");
    assert_eq!(rotate("never", "seven").await, Rotated::Unknown);
}

#[tokio::test]
async fn a_refresh_token_is_of_its_client_its_key_and_its_time() {
    let store = Store::in_memory().expect("a store");
    store.begin(family("f"), hash("one")).await.expect("it is kept");
    for (client, key, now) in [
        ("other", Some("thumb"), NOW),
        ("app", Some("another"), NOW),
        ("app", None, NOW),
        ("app", Some("thumb"), NOW.after_ms(1_000)),
    ] {
        let rotated = store.rotate(hash("one"), hash("two"), client, key, now).await.expect("it works");
        assert_eq!(rotated, Rotated::Unknown, "{client} {key:?} {now:?}");
    }
    assert_eq!(store.family_of(hash("one"), NOW).await.expect("it works"), Some(family("f")), "nothing of that used it up");
    store.revoke_task("task-1").await.expect("it works");
    assert_eq!(store.family_of(hash("one"), NOW).await.expect("it works"), None);
}

#[tokio::test]
async fn sessions_end_with_their_time_their_account_and_another_password() {
    let store = Store::in_memory().expect("a store");
    store.put_account("bo", "first".into(), NOW).await.expect("it is kept");
    let begin = async |secret: &str| store.add_session(hash(secret), "bo", NOW.after_ms(10)).await.expect("it is kept");
    let who = async |secret: &str, now: Moment| store.session(hash(secret), now).await.expect("it works");
    begin("one").await;
    assert_eq!(who("one", NOW).await.as_deref(), Some("bo"));
    assert_eq!(who("one", NOW.after_ms(10)).await, None, "over");
    assert_eq!(who("two", NOW).await, None, "unknown");
    store.put_account("bo", "second".into(), NOW).await.expect("it is kept");
    assert_eq!(who("one", NOW).await, None, "another password");
    begin("three").await;
    store.end_session(hash("three")).await.expect("it works");
    assert_eq!(who("three", NOW).await, None, "signed out");
    begin("four").await;
    assert!(store.remove_account("bo").await.expect("it works"));
    assert_eq!(who("four", NOW).await, None, "no account");
}

#[tokio::test]
async fn the_first_account_manages_the_others() {
    let store = Store::in_memory().expect("a store");
    for who in ["cy", "ann"] {
        store.put_account(who, "x".into(), NOW).await.expect("it is kept");
    }
    let accounts: Vec<_> =
        store.accounts().await.expect("it works").into_iter().map(|account| (account.person, account.is_admin)).collect();
    assert_eq!(accounts, [("ann".to_owned(), false), ("cy".to_owned(), true)]);
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart_and_nobody_else_can_read_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("auth.db");
    let store = Store::open(&path).expect("a store");
    store.begin(family("f"), hash("one")).await.expect("it is kept");
    drop(store);
    let again = Store::open(&path).expect("the same store");
    assert_eq!(again.family_of(hash("one"), NOW).await.expect("it works"), Some(family("f")));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    }
    again.clear(NOW.after_ms(REMEMBERED_MS + 2_000)).await.expect("it works");
    assert_eq!(again.rotate(hash("one"), hash("two"), "app", Some("thumb"), NOW).await.expect("it works"), Rotated::Unknown);
}

#[tokio::test]
async fn one_wrong_call_does_not_take_others_of_its_commit_with_it() {
    let store = Store::in_memory().expect("a store");
    let wrong = store.run(|connection| connection.execute("INSERT INTO nowhere VALUES (1)", []));
    let right = store.put_account("bo", "x".into(), NOW);
    let (wrong, right) = tokio::join!(wrong, right);
    assert!(matches!(wrong, Err(StoreError::File(_))));
    right.expect("it is kept");
    assert!(store.account("bo").await.expect("it works").is_some());
}

#[tokio::test]
async fn nobody_keeps_others_from_registering_for_good() {
    let store = Store::in_memory().expect("a store");
    store.begin(family("f"), hash("one")).await.expect("it is kept");
    assert!(store.add_client("app", "{}".into(), NOW).await.expect("it works"), "one that got a task");
    store
        .run(|connection| {
            let mut add = connection.prepare("INSERT INTO clients VALUES (?1, '{}', ?2)")?;
            (2..=REGISTERED_MAX).try_for_each(|number| add.execute(params![format!("spam-{number}"), millis(NOW)]).map(drop))
        })
        .await
        .expect("it is full now");
    assert!(!store.add_client("late", "{}".into(), NOW).await.expect("it works"));
    assert!(store.add_client("later", "{}".into(), NOW.after_ms(REGISTERED_MS + 1)).await.expect("it works"));
    assert!(store.client("app").await.expect("it works").is_some(), "who got a task stays");
}
