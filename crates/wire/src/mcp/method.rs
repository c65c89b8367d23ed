//! The methods, both ways, and what is done with each.

use crate::frame::Frame;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the agent's client to a server.
    ToServer,
    /// From a server to the agent's client.
    ToClient,
}

/// What is done with a request or notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Has effects or carries content out: decided as an act, its result observed.
    Act,
    /// Hands data in: decided as a read, its result observed.
    Read,
    /// Belongs to a request that was decided (a task, by its id): for the task of the same chain only; what comes back is observed.
    Follow,
    /// Its result is a list that is filtered to what the caller could use, and made private.
    Filter(super::List),
    /// Passes; its result says what the server is and can be cached: made private.
    Describe,
    /// Passes as it is.
    Pass,
    /// Brings content unasked: observed before it is released.
    Observe,
    /// Passes; the answer to it carries content of the client's side to the server.
    Ask,
    /// A method that is not known here.
    Unknown,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A method of any revision, request or notification.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Method { $($(#[$doc])* $variant,)* }

        impl Method {
            /// All of them.
            pub const ALL: &'static [Method] = &[$(Method::$variant,)*];

            /// The name on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Method::$variant => $name,)* }
            }

            /// The method of that name; `None` for one that no known revision has.
            pub fn from_name(name: &str) -> Option<Method> {
                match name { $($name => Some(Method::$variant),)* _ => None }
            }
        }
    };
}

methods! {
    /// Opens a legacy session.
    Initialize = "initialize",
    /// Says that the session is open. Legacy.
    Initialized = "notifications/initialized",
    /// Either way. Legacy.
    Ping = "ping",
    /// Modern: versions, capabilities, instructions.
    Discover = "server/discover",
    /// The tools.
    ToolsList = "tools/list",
    /// The one that everything is about.
    ToolsCall = "tools/call",
    /// The resources.
    ResourcesList = "resources/list",
    /// The families of resources.
    ResourceTemplatesList = "resources/templates/list",
    /// Hands a resource in.
    ResourcesRead = "resources/read",
    /// Tells when a resource changes. Legacy.
    ResourcesSubscribe = "resources/subscribe",
    /// No longer. Legacy.
    ResourcesUnsubscribe = "resources/unsubscribe",
    /// The prompts.
    PromptsList = "prompts/list",
    /// Hands a prompt in; its arguments go out, and resources can be embedded in it.
    PromptsGet = "prompts/get",
    /// Sends what was typed so far out, and brings suggestions from the server's data in.
    Complete = "completion/complete",
    /// Legacy.
    SetLevel = "logging/setLevel",
    /// Modern: one stream of changes that were asked for.
    SubscriptionsListen = "subscriptions/listen",
    /// State of a task; in the modern extension its result too.
    TasksGet = "tasks/get",
    /// Legacy: the result of the request that became a task.
    TasksResult = "tasks/result",
    /// Legacy: all tasks of the requester.
    TasksList = "tasks/list",
    /// Modern extension: hands answers to a task.
    TasksUpdate = "tasks/update",
    /// Stops a task.
    TasksCancel = "tasks/cancel",
    /// The server asks the client's model. Legacy as a request of its own.
    CreateMessage = "sampling/createMessage",
    /// The server asks the person. Legacy as a request of its own.
    Elicit = "elicitation/create",
    /// The server asks for the client's directories. Legacy as a request of its own.
    RootsList = "roots/list",
    /// The sender no longer waits.
    Cancelled = "notifications/cancelled",
    /// How far it is; `message` is the server's words.
    Progress = "notifications/progress",
    /// A log entry, of any content.
    Message = "notifications/message",
    /// A resource changed.
    ResourceUpdated = "notifications/resources/updated",
    /// The list changed.
    ResourcesChanged = "notifications/resources/list_changed",
    /// The list changed.
    ToolsChanged = "notifications/tools/list_changed",
    /// The list changed.
    PromptsChanged = "notifications/prompts/list_changed",
    /// The client's directories changed. Legacy.
    RootsChanged = "notifications/roots/list_changed",
    /// A question to the person was answered elsewhere. 2025-11-25.
    ElicitationComplete = "notifications/elicitation/complete",
    /// State of a task. 2025-11-25.
    TaskStatus = "notifications/tasks/status",
    /// A whole task, its result included. Modern extension.
    Task = "notifications/tasks",
    /// Modern: what the server will tell on this stream.
    SubscriptionsAcknowledged = "notifications/subscriptions/acknowledged",
}

impl Method {
    /// The method of a request or notification.
    pub fn of(frame: &Frame) -> Option<Method> {
        frame.method().and_then(Method::from_name)
    }

    /// What is done with a frame sent that way. Responses are treated like the request that they answer, hence `None`.
    ///
    /// A method sent the wrong way is unknown.
    pub fn treatment_of(frame: &Frame, direction: Direction) -> Option<Treatment> {
        let name = frame.method()?;
        Some(Method::from_name(name).map_or(Treatment::Unknown, |method| method.treatment(direction)))
    }

    /// What is done with this method, sent that way.
    pub fn treatment(self, direction: Direction) -> Treatment {
        match direction {
            Direction::ToServer => self.to_server(),
            Direction::ToClient => self.to_client(),
        }
    }

    fn to_server(self) -> Treatment {
        use super::List;
        match self {
            Method::ToolsCall => Treatment::Act,
            Method::ResourcesRead | Method::PromptsGet | Method::Complete => Treatment::Read,
            // That and when a resource changes is said about the resource, so it is read.
            Method::ResourcesSubscribe | Method::SubscriptionsListen => Treatment::Read,
            Method::TasksGet | Method::TasksResult | Method::TasksUpdate | Method::TasksCancel => Treatment::Follow,
            Method::ToolsList => Treatment::Filter(List::Tools),
            Method::ResourcesList => Treatment::Filter(List::Resources),
            Method::ResourceTemplatesList => Treatment::Filter(List::ResourceTemplates),
            Method::PromptsList => Treatment::Filter(List::Prompts),
            Method::TasksList => Treatment::Filter(List::Tasks),
            Method::Initialize | Method::Discover => Treatment::Describe,
            Method::Initialized | Method::Ping | Method::ResourcesUnsubscribe | Method::SetLevel => Treatment::Pass,
            Method::Cancelled | Method::Progress | Method::RootsChanged => Treatment::Pass,
            // 2025-11-25 has tasks both ways: this is the state of one that the client keeps for the server.
            Method::TaskStatus => Treatment::Pass,
            Method::CreateMessage | Method::Elicit | Method::RootsList => Treatment::Unknown,
            Method::Message
            | Method::ResourceUpdated
            | Method::ResourcesChanged
            | Method::ToolsChanged
            | Method::PromptsChanged => Treatment::Unknown,
            Method::ElicitationComplete | Method::Task | Method::SubscriptionsAcknowledged => Treatment::Unknown,
        }
    }

    fn to_client(self) -> Treatment {
        match self {
            Method::CreateMessage | Method::Elicit | Method::RootsList => Treatment::Ask,
            // 2025-11-25: the server asks for the result of a task that the client keeps for it (sampling, elicitation).
            Method::TasksGet | Method::TasksResult | Method::TasksList | Method::TasksCancel => Treatment::Ask,
            Method::Message | Method::Task | Method::TaskStatus => Treatment::Observe,
            Method::Ping | Method::Cancelled | Method::Progress => Treatment::Pass,
            Method::ResourceUpdated | Method::ResourcesChanged | Method::ToolsChanged | Method::PromptsChanged => Treatment::Pass,
            Method::ElicitationComplete | Method::SubscriptionsAcknowledged => Treatment::Pass,
            Method::Initialize | Method::Initialized | Method::Discover | Method::ToolsList | Method::ToolsCall => {
                Treatment::Unknown
            }
            Method::ResourcesList | Method::ResourceTemplatesList | Method::ResourcesRead => Treatment::Unknown,
            Method::ResourcesSubscribe | Method::ResourcesUnsubscribe | Method::PromptsList | Method::PromptsGet => {
                Treatment::Unknown
            }
            Method::Complete | Method::SetLevel | Method::SubscriptionsListen | Method::TasksUpdate | Method::RootsChanged => {
                Treatment::Unknown
            }
        }
    }
}
