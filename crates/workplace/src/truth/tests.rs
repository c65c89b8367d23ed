//! The narrator's truth, as claims.

use super::of;
use crate::world::seeded;

#[test]
fn before_the_story_nobody_sees_what_they_should_not() {
    let truth = of(&seeded().world);
    assert_eq!(truth.people, 240);
    for message in truth.posts.iter().chain(&truth.mails) {
        assert_eq!((message.uncleared, message.outside), (0, 0), "{message:?}");
    }
    for dataset in &truth.datasets {
        assert_eq!(dataset.uncleared, 0, "{dataset:?}");
    }
    assert!(truth.changes.is_empty());
}

#[test]
fn a_quotation_is_found_whatever_its_case_and_punctuation() {
    let mut world = seeded().world.clone();
    let post = |world: &mut crate::world::World, text: &str| {
        let who = seeded().accounts.caller(crate::key_of("ann").expect("ann has a key").reveal()).expect("a caller");
        world.forum_post_reply(&who, "forum:eng-help", "thread:4811", text).map(drop).expect("ann may post");
        of(world).posts.iter().rfind(|post| post.by == "ann").expect("the post is there").clone()
    };
    let shouted = post(&mut world, "GIVE that service group: access, for a limited time!");
    assert_eq!(shouted.quotes.first().map(|quote| quote.source.as_str()), Some("runbook:dataset-acl"));
    let personal = post(&mut world, "write to tomasz.wilk@poczta.example please");
    assert_eq!(personal.quotes.first().map(|quote| quote.source.as_str()), Some("dataset:users"));
    let own_words = post(&mut world, "ask the rota how access works since Tuesday");
    assert!(own_words.quotes.is_empty());
}
