//! Claims about cutting event streams.

use super::{Event, Splitter};

fn events_of(chunks: &[&[u8]]) -> Vec<Event> {
    let mut splitter = Splitter::new(1024);
    let mut events = Vec::new();
    for chunk in chunks {
        splitter.push(chunk);
        while let Some(event) = splitter.next_event().expect("test events are short") {
            events.push(event);
        }
    }
    events
}

const STREAMS: &[&[u8]] = &[
    b"event: message\nid: 7\ndata: {\"a\":1}\n\nretry: 5\ndata:\n\n",
    b"event: message\r\nid: 7\r\ndata: {\"a\":1}\r\n\r\nretry: 5\r\ndata:\r\n\r\n",
    b"event: message\rid: 7\rdata: {\"a\":1}\r\rretry: 5\rdata:\r\r",
];

#[test]
fn every_line_end_is_understood_however_the_stream_is_chopped() {
    for stream in STREAMS {
        for size in 1..stream.len() {
            let chunks: Vec<&[u8]> = stream.chunks(size).collect();
            let events = events_of(&chunks);
            assert_eq!(events.len(), 2, "{size}");
            assert_eq!(events[0].data().as_deref(), Some(&b"{\"a\":1}"[..]));
            assert!(events[0].has_id());
            assert_eq!(events[1].data(), None);
        }
    }
}

#[test]
fn an_event_leaves_as_it_came() {
    let stream: &[u8] = b": hello\nid: 7\nevent: message\ndata: {\"a\":1}\n\n";
    let events = events_of(&[stream]);
    assert_eq!(events[0].clone().into_raw(), stream);
}

#[test]
fn data_over_several_lines_is_one_datum() {
    let events = events_of(&[b"data: {\ndata: \"a\":1}\n\n"]);
    assert_eq!(events[0].data().as_deref(), Some(&b"{\n\"a\":1}"[..]));
}

#[test]
fn new_data_keeps_the_other_lines_and_cannot_break_out_of_its_own() {
    let events = events_of(&[b"id: 7\ndata: {\ndata: \"a\":1}\nx-y: z\n\n"]);
    let changed = events[0].with_data(b"{\"b\":\n\n2}");
    assert_eq!(&changed.clone().into_raw()[..], b"id: 7\ndata: {\"b\":\ndata: \ndata: 2}\nx-y: z\n\n");
    assert_eq!(events_of(&[&changed.into_raw()]).len(), 1);
}

#[test]
fn an_id_gets_a_prefix_only_where_there_is_one() {
    let events = events_of(&[b"id: 7\ndata: 1\n\ndata: 2\n\n"]);
    assert_eq!(&events[0].with_id_prefix("1~").into_raw()[..], b"id: 1~7\ndata: 1\n\n");
    assert_eq!(&events[1].with_id_prefix("1~").into_raw()[..], b"data: 2\n\n");
}

#[test]
fn an_endless_event_is_refused() {
    let mut splitter = Splitter::new(64);
    splitter.push(&[b'x'; 65]);
    assert!(splitter.next_event().is_err());
}
