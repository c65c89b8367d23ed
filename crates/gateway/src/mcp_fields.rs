//! Where the fields stand that a gateway must find (RFC 6901 pointers into a frame).

/// Names the progress of a request (basic/patterns/progress).
pub const PROGRESS_TOKEN: &str = "/params/_meta/progressToken";
/// Present on every request since 2026-07-28 (basic/index, "Per-request protocol fields").
pub const PROTOCOL_VERSION_FIELD: &str = "/params/_meta/io.modelcontextprotocol~1protocolVersion";
/// The request that opened a subscription (2026-07-28, basic/patterns/subscriptions).
pub const SUBSCRIPTION_ID: &str = "/params/_meta/io.modelcontextprotocol~1subscriptionId";
/// A result that is a question (2026-07-28, basic/patterns/mrtr).
pub const INPUT_REQUIRED: &str = "input_required";

/// Whether a message is of the era in which each request says its revision (2026-07-28, basic/versioning, "Terminology").
pub fn is_modern(frame: &wire::frame::Frame) -> bool {
    frame.at(PROTOCOL_VERSION_FIELD).is_some()
}
