//! The command line, as it is typed. What the commands do is in `commands`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use judge::effect::Effect;
use judge::incident::IncidentId;
use judge::name::{AskId, DecisionId, PrincipalId, TaskId, ToolId};
use judge::standing::Target;

use crate::config::Span;
use crate::config::settings::Door;

/// IAM for AI agents: every tool call decided in context, recorded before the effect, and stopped when it should be.
#[derive(Debug, Parser)]
#[command(name = "prudence", version, max_term_width = 110, arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
}

const AFTER_HELP: &str = "\
To begin:
  prudence init                 a commented prudence.toml, with keys
  prudence config check         is it right?
  prudence serve                the gateway, at http://127.0.0.1:8787/mcp
  prudence task start --requester bo --agent helper --purpose engineering --lease 15m

Exit codes:
  0  done
  1  it could not be done; the reason is on standard error
  2  the command line is wrong
  3  the configuration, a policy, a contract or a scenario is wrong; every problem was shown with its place
  4  something was checked and found wrong: a broken ledger, a scenario with another answer, a changed tool
  5  refused: this person may not answer, this task may not be started";

/// What holds for every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "For every command")]
pub struct Global {
    /// The configuration file.
    #[arg(
        long,
        short,
        global = true,
        display_order = 100,
        env = "PRUDENCE_CONFIG",
        default_value = "prudence.toml",
        value_name = "FILE"
    )]
    pub config: PathBuf,
    /// For people, or for programs.
    #[arg(long, short, global = true, display_order = 101, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// For whom the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people: coloured on a terminal, plain elsewhere.
    Text,
    /// For programs: one JSON document, or one a line where there is no end.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play the incident of March 2026, its benign twin, a stolen token and a runaway: without Prudence and with it.
    #[command(
        after_help = "Needs nothing and leaves nothing behind.\n\nExample:\n  prudence demo --keep      and then try calls of your own"
    )]
    Demo {
        /// Leave everything running until interrupted, and say how to try calls of one's own.
        #[arg(long)]
        keep: bool,
    },
    /// Serve the workplace of the demonstration, for a parent process.
    #[command(hide = true)]
    DemoWorkplace,
    /// Write a commented prudence.toml, with keys, into a folder.
    #[command(
        after_help = "Nothing that is there is overwritten.\n\nExample:\n  prudence init gate && prudence --config gate/prudence.toml config check"
    )]
    Init {
        /// The folder; it is made if it is not there.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Check the configuration, or say what can be in it.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Put the gateway in front of the configured servers.
    #[command(after_help = SERVE_HELP)]
    Serve {
        /// Listen here instead of at the configured address.
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: Option<std::net::SocketAddr>,
    },
    /// Put the gateway around one server that a client starts itself (stdio to stdio).
    #[command(after_help = WRAP_HELP)]
    Wrap(Wrap),
    /// Start, show and end tasks.
    #[command(subcommand)]
    Task(TaskCommand),
    /// Register agents, look at what they did, and renew or suspend them.
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Stop a task, an agent, everything of an owner, a key or a client, with everything that was derived from it.
    #[command(after_help = KILL_HELP)]
    Kill(Kill),
    /// Take a kill back, or let a task go on that a breaker froze. What was ended stays ended.
    Reset(Reset),
    /// See what has to be looked into, hand it on, and say what it was.
    #[command(subcommand)]
    Incidents(IncidentsCommand),
    /// See how each agent stands to its limits, and what other limits would have done.
    #[command(subcommand)]
    Tempo(TempoCommand),
    /// Answer what agents ask.
    #[command(subcommand)]
    Approvals(ApprovalsCommand),
    /// Let programs use the API.
    #[command(subcommand)]
    Client(ClientCommand),
    /// Let people sign in at the authorization server.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Link people's accounts with upstreams, and keep the keys that upstreams want to see: agents never hold them.
    #[command(subcommand)]
    Upstream(UpstreamCommand),
    /// Exchange the key that signs tokens.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Show who would newly see what if a change were made, before it is.
    #[command(after_help = PREVIEW_HELP)]
    Preview(Preview),
    /// Show who can see an item, or what stands in a destination.
    WhoCanSee(WhoCanSee),
    /// Show everything that a person can see.
    CanSee(CanSee),
    /// Import people, groups, items and destinations.
    #[command(subcommand)]
    Directory(DirectoryCommand),
    /// Read, verify and sum up the ledger.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Check and list norms, and the facts that they speak of.
    #[command(subcommand)]
    Norm(NormCommand),
    /// Write, accept and check tool contracts.
    #[command(subcommand)]
    Contract(ContractCommand),
    /// Run scenarios: what happened somewhere, and what must be answered.
    #[command(subcommand)]
    Scenario(ScenarioCommand),
    /// Judge what agents did, from recorded runs.
    #[command(subcommand)]
    Trace(TraceCommand),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  prudence completions bash > ~/.local/share/bash-completion/completions/prudence")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

const SERVE_HELP: &str = "\
Agents connect to http://ADDRESS:PORT/mcp with `Authorization: Bearer TASK-TOKEN` (see `prudence task start`).
The log goes to standard error: PRUDENCE_LOG=info,gateway=debug chooses what, PRUDENCE_LOG_FORMAT=json how.";

const WRAP_HELP: &str = "\
The client's configuration names prudence instead of the server, and the server behind `--`:

  prudence wrap --requester bo --agent helper --purpose engineering --upstream files -- npx -y @modelcontextprotocol/server-filesystem .

The task comes from --task-token, from PRUDENCE_TASK_TOKEN, or is started with --requester, --agent and --purpose and ends with the client.
The contract is that of the configured upstream of the same name, or --contract.";

const PREVIEW_HELP: &str = r#"A change is one of put_person, remove_person, put_agent, remove_agent, put_group, remove_group, add_members, remove_members, put_item,
remove_item, set_readers, add_readers, remove_readers, put_destination, remove_destination, set_audience, add_audience, remove_audience,
put_grant and remove_grant. Several are looked at together, as one:

  [{"add_readers": {"item": "dataset:users", "readers": ["@eng-all"]}},
   {"add_members": {"group": "eng-all", "members": ["@contractors"]}}]

Exit codes: 0 no norm holds against it, 4 a person has to decide, 1 it could not be looked at."#;

/// `prudence preview`.
#[derive(Debug, Args)]
pub struct Preview {
    /// A JSON file with a list of changes; `-` reads standard input.
    #[arg(value_name = "CHANGE.json")]
    pub changes: PathBuf,
    /// Who makes the change.
    #[arg(long = "as", value_name = "PERSON")]
    pub person: Option<PrincipalId>,
    /// The decision about the act of an agent whose words the change rests on.
    #[arg(long, value_name = "DECISION")]
    pub because: Option<DecisionId>,
    /// Write a report beside it: one page of HTML with a picture.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// `prudence who-can-see`.
#[derive(Debug, Args)]
pub struct WhoCanSee {
    /// The item, or the destination.
    pub item: String,
    /// As it was at this moment (RFC 3339), instead of now.
    #[arg(long, value_name = "TIME")]
    pub at: Option<jiff::Timestamp>,
}

/// `prudence can-see`.
#[derive(Debug, Args)]
pub struct CanSee {
    /// The person.
    pub person: PrincipalId,
    /// As it was at this moment (RFC 3339), instead of now.
    #[arg(long, value_name = "TIME")]
    pub at: Option<jiff::Timestamp>,
}

/// `prudence directory …`.
#[derive(Debug, Subcommand)]
pub enum DirectoryCommand {
    /// Import files: all of them hold, or nothing of them.
    #[command(after_help = IMPORT_HELP)]
    Import(Import),
    /// Say how much the directory holds.
    Show,
}

const IMPORT_HELP: &str = r#"Without --kind a file is JSON Lines, one change a line (`prudence preview --help` lists them):

  {"put_person": {"id": "bo", "addresses": ["bo@example.com"], "clearance": "internal"}}
  {"put_group": {"id": "eng-all", "members": ["bo", "@storage-oncall"]}}

With --kind it is a table (CSV) with a heading, and `;` between names inside of one field:

  people        id, addresses, clearance, categories, status, attributes.NAME (as in attributes.department)
  members       group, member
  items         id, readers, classification, categories, purposes, integrity, owner, container
  destinations  id, audience, owner, known
  grants        to, may, on

--kind ldif reads what a directory server exports (RFC 2849): people with uid or sAMAccountName, mail and department, title and the like;
groups with their members; accounts that are disabled are people who left. Everything else stays in the file, passwords above all."#;

/// `prudence directory import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What the files hold, when it is not one change a line.
    #[arg(long, value_enum)]
    pub kind: Option<ImportKind>,
    /// Check everything, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// What files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImportKind {
    /// People.
    People,
    /// Who is in which group; groups that are not there are made.
    Members,
    /// Items.
    Items,
    /// Destinations.
    Destinations,
    /// Grants.
    Grants,
    /// People and groups as a directory server exports them, not a table.
    Ldif,
}

/// `prudence wrap`.
#[derive(Debug, Args)]
pub struct Wrap {
    /// A task token, instead of a task of its own.
    #[arg(long, env = "PRUDENCE_TASK_TOKEN", hide_env_values = true, value_name = "TOKEN", conflicts_with_all = ["requester", "agent", "purpose"])]
    pub task_token: Option<String>,
    /// The person for whom the agent works.
    #[arg(long, value_name = "PERSON", requires_all = ["agent", "purpose"])]
    pub requester: Option<PrincipalId>,
    /// The agent.
    #[arg(long, value_name = "AGENT")]
    pub agent: Option<PrincipalId>,
    /// What for.
    #[arg(long)]
    pub purpose: Option<String>,
    /// Who the answer is for; left out, the requester alone.
    #[arg(long, value_name = "WHO", value_delimiter = ',')]
    pub address: Vec<String>,
    /// How long the task runs at most.
    #[arg(long, default_value = "8h", value_name = "SPAN")]
    pub lease: Span,
    /// The server's name in contracts and in the ledger.
    #[arg(long, default_value = "wrapped", value_name = "NAME")]
    pub upstream: String,
    /// The server's contract.
    #[arg(long, value_name = "FILE")]
    pub contract: Option<PathBuf>,
    /// Decide and record everything, and stop nothing.
    #[arg(long)]
    pub observe: bool,
    /// Give the server these variables of the environment, and no others but the few that every program needs.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub env: Vec<String>,
    /// Give the server no variables but those of --env, and the few that every program needs.
    #[arg(long)]
    pub clear_env: bool,
    /// The server and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `prudence config …`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Report everything that is wrong, each with its place.
    Check {
        /// The file; left out, that of --config.
        file: Option<PathBuf>,
    },
    /// Print the JSON Schema of prudence.toml, for editors.
    Schema {
        /// That of a file which `directory` names, instead.
        #[arg(long)]
        directory: bool,
    },
    /// Print the reference page of all settings, in Markdown.
    Reference,
}

const KILL_HELP: &str = "\
Examples:
  prudence kill task:t-0192… --by ann --why 'it answers everybody'
  prudence kill agent:helper --by ann          every task with it, and no new one until `prudence reset agent:helper`
  prudence kill owner:bo --by ann              everything that bo asked for, and every agent of bo
A running server refuses the next call; what waits for an answer is withdrawn.";

/// `prudence kill`.
#[derive(Debug, Args)]
pub struct Kill {
    /// `task:ID`, `agent:NAME`, `owner:PERSON`, `key:THUMBPRINT` or `client:ID`.
    pub target: Target,
    /// The person who decides this, for the record.
    #[arg(long, value_name = "PERSON")]
    pub by: PrincipalId,
    /// Why, for the record.
    #[arg(long, default_value = "")]
    pub why: String,
}

/// `prudence reset`.
#[derive(Debug, Args)]
pub struct Reset {
    /// `task:ID`, `agent:NAME`, `owner:PERSON`, `key:THUMBPRINT` or `client:ID`.
    pub target: Target,
    /// The person who has looked, for the record.
    #[arg(long, value_name = "PERSON")]
    pub by: PrincipalId,
}

/// `prudence incidents …`.
#[derive(Debug, Subcommand)]
pub enum IncidentsCommand {
    /// All incidents, the open ones first.
    #[command(after_help = INCIDENTS_HELP)]
    List(IncidentsList),
    /// One incident: what was usual, what happened, what is frozen, what was seen and sent, who could see it, and what to do next.
    Show {
        /// Which, as `inc-NUMBER`.
        incident: IncidentId,
    },
    /// Write everything about one incident into one JSON file that can be handed on.
    #[command(
        after_help = "No content, no words of the requester and no secret is in it; every entry of the ledger that it rests on is, with number and hash.\n\nExample:\n  prudence incidents export inc-1042 --out inc-1042.json"
    )]
    Export {
        /// Which, as `inc-NUMBER`.
        incident: IncidentId,
        /// Write it here, where nothing is yet; left out, to standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Say what an incident was, for the record. What is frozen stays frozen until `prudence reset`.
    #[command(
        after_help = "Example:\n  prudence incidents resolve inc-1042 --by ann --as false-alarm --why 'the yearly stocktaking' && prudence reset task:t-0192… --by ann"
    )]
    Resolve {
        /// Which, as `inc-NUMBER`.
        incident: IncidentId,
        /// The person who has looked into it.
        #[arg(long, value_name = "PERSON")]
        by: PrincipalId,
        /// What it was.
        #[arg(long = "as", value_enum, value_name = "WHAT")]
        verdict: VerdictWord,
        /// Why, for the record and for whoever reads it later.
        #[arg(long)]
        why: String,
    },
}

const INCIDENTS_HELP: &str = "\
An incident is what somebody has to look into: a breaker that tripped (tempo), a call with somebody else's key (key), a server that gave out what
was not for the requester (boundary), and whatever a person killed (kill). A single refusal is none. Of one kind about one thing there is one,
until a person lets that thing go on or says what it was.

Examples:
  prudence incidents list --open
  prudence incidents list --kind tempo --agent exporter --since 7d
  prudence -o json incidents list";

/// `prudence incidents list`.
#[derive(Debug, Args)]
pub struct IncidentsList {
    /// Only those of which nobody has said what they were.
    #[arg(long)]
    pub open: bool,
    /// Only those of this kind.
    #[arg(long, value_enum)]
    pub kind: Option<IncidentKind>,
    /// Only those of chains with this agent or person.
    #[arg(long, value_name = "PRINCIPAL")]
    pub agent: Option<PrincipalId>,
    /// Only those of this task, or of its root.
    #[arg(long)]
    pub task: Option<TaskId>,
    /// Only those to which something was added within this time.
    #[arg(long, value_name = "SPAN")]
    pub since: Option<Span>,
}

/// What began an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IncidentKind {
    /// A breaker tripped.
    Tempo,
    /// A call with somebody else's key.
    Key,
    /// A server gave out what was not for the requester.
    Boundary,
    /// A person killed something.
    Kill,
    /// A norm lets something through and wants it to be known.
    Notice,
}

/// What an incident was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VerdictWord {
    /// Ordinary work.
    FalseAlarm,
    /// It was real, and nothing got where it must not be.
    Contained,
    /// It was real, and something did.
    Harm,
    /// Somebody tried whether it works.
    Exercise,
}

/// `prudence agent …`.
#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Register an agent: who answers for it, what it is for, what it may do at most, and until when.
    #[command(after_help = REGISTER_HELP)]
    Register(Box<AgentRegister>),
    /// All agents, and which of them need somebody.
    List,
    /// One agent: its registration, and how it stands.
    Show {
        /// Which.
        agent: PrincipalId,
    },
    /// The checkpoint: what it did since somebody last looked, what of its permissions it used and what never; renewed only when somebody says so.
    #[command(after_help = REVIEW_HELP)]
    Review(AgentReview),
    /// Stop an agent until somebody who answers for it lets it go on. Its running tasks wait; `prudence kill` ends them.
    Suspend {
        /// Which.
        agent: PrincipalId,
        /// The person who decides this, for the record.
        #[arg(long, value_name = "PERSON")]
        by: PrincipalId,
        /// Why, for the record.
        #[arg(long, default_value = "")]
        why: String,
    },
    /// Let an agent go on that was suspended. Its lease is what it was.
    Resume {
        /// Which.
        agent: PrincipalId,
        /// Its owner or sponsor.
        #[arg(long, value_name = "PERSON")]
        by: PrincipalId,
    },
    /// Give an agent another owner, as when the one before has left. Its lease is what it was.
    HandOver {
        /// Which.
        agent: PrincipalId,
        /// The new owner.
        #[arg(long, value_name = "PERSON")]
        to: PrincipalId,
        /// Its owner or sponsor; where neither is here any more, whoever takes care of it.
        #[arg(long, value_name = "PERSON")]
        by: PrincipalId,
    },
}

const REGISTER_HELP: &str = "\
What is left out bounds nothing. A registration allows nothing by itself: what an agent may do was also granted (`prudence directory import`), to it
and to the person for whom it acts. When the lease is over, its calls are refused until its owner or sponsor has looked and renewed it.

Examples:
  prudence agent register helper --owner bo --sponsor ann --about 'answers the storage forum' --by bo \\
      --purposes engineering,support --effects read,publish --tools 'forum__*' --lease 90d
  prudence agent register nightly --owner bo --by bo --clients ci-runner --keys 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

const REVIEW_HELP: &str = "\
Examples:
  prudence agent review helper                                         what it did, and what it never used
  prudence agent review helper --by bo --renew-for 90d                 go on as it is
  prudence agent review helper --by bo --renew-for 90d --tighten       go on with what it used, and nothing else";

/// `prudence agent register`.
#[derive(Debug, Args)]
pub struct AgentRegister {
    /// Its name.
    pub agent: PrincipalId,
    /// The person who owns it.
    #[arg(long, value_name = "PERSON")]
    pub owner: PrincipalId,
    /// Another person who vouches for it, and can renew it as well.
    #[arg(long, value_name = "PERSON")]
    pub sponsor: Option<PrincipalId>,
    /// What it is for, in a sentence.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub about: String,
    /// The purposes for which tasks may be started with it; left out, any.
    #[arg(long, value_name = "PURPOSE", value_delimiter = ',')]
    pub purposes: Vec<String>,
    /// The most that it may do; left out, whatever it is granted.
    #[arg(long, value_name = "EFFECT", value_delimiter = ',', value_parser = effect)]
    pub effects: Vec<Effect>,
    /// The tools that it may use, as names and patterns; left out, any.
    #[arg(long, value_name = "TOOL", value_delimiter = ',')]
    pub tools: Vec<String>,
    /// The keys that it may prove itself with, by thumbprint (RFC 7638); left out, any, and none at all.
    #[arg(long, value_name = "THUMBPRINT", value_delimiter = ',')]
    pub keys: Vec<String>,
    /// The clients of the authorization server through which it may get credentials; left out, any.
    #[arg(long, value_name = "CLIENT", value_delimiter = ',')]
    pub clients: Vec<String>,
    /// How long the registration lasts: a minute at least, 366 days at most.
    #[arg(long, value_name = "SPAN", default_value = "90d")]
    pub lease: Span,
    /// The person who decides this, for the record.
    #[arg(long, value_name = "PERSON")]
    pub by: PrincipalId,
}

/// `prudence agent review`.
#[derive(Debug, Args)]
pub struct AgentReview {
    /// Which.
    pub agent: PrincipalId,
    /// What it did in this span, instead of since it was last reviewed.
    #[arg(long, value_name = "SPAN", conflicts_with = "renew_for")]
    pub since: Option<Span>,
    /// Renew it for this long from now.
    #[arg(long, value_name = "SPAN", requires = "by")]
    pub renew_for: Option<Span>,
    /// Its owner or sponsor, who has looked.
    #[arg(long, value_name = "PERSON", requires = "renew_for")]
    pub by: Option<PrincipalId>,
    /// Renew it for no more than it used: effects, tools and purposes.
    #[arg(long, requires = "renew_for")]
    pub tighten: bool,
}

/// `prudence tempo …`.
#[derive(Debug, Subcommand)]
pub enum TempoCommand {
    /// Each agent's envelope against its use, from the recorded past: what is usual, the most that was seen, how near a breaker was, and which budgets could be tightened.
    #[command(after_help = TEMPO_HELP)]
    Report(TempoReport),
}

const TEMPO_HELP: &str = "\
\"A breaker trips at\" says by how much some call would have had to be faster and more for a breaker to trip: 1x it did or would now, 1.2x or 1.5x is close to firing, and what would
not trip at ten times its tempo was never near.

--simulate takes a Cedar file, or a folder of them, in place of the norms, and goes through the recorded calls: which trips would be new, which gone. Nothing is carried out, and
nothing is recorded.

Examples:
  prudence tempo report --since 30d
  prudence tempo report --simulate stricter.cedar";

/// `prudence tempo report`.
#[derive(Debug, Args)]
pub struct TempoReport {
    /// Only what is younger than this; what is usual is learnt from all of the past.
    #[arg(long, value_name = "SPAN")]
    pub since: Option<Span>,
    /// A Cedar file, or a folder of them: which trips would be new under these rules, and which gone?
    #[arg(long, value_name = "RULES")]
    pub simulate: Option<PathBuf>,
}

/// `prudence task …`.
#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// Start a task, and print the token that the agent presents.
    #[command(after_help = TASK_HELP)]
    Start(Box<TaskStart>),
    /// The tasks of the last day.
    List,
    /// One task: what it may do, and what it has done.
    Show {
        /// Which.
        task: TaskId,
    },
    /// Renew the lease of a task, because somebody has looked at it. What was unusual before is looked at by this.
    #[command(
        after_help = "A task can be renewed for a day after its lease, and not after it was ended. Its program refreshes its token, or gets the one that is printed.\n\nExample:\n  prudence task renew t-0192… --by bo --for 30m"
    )]
    Renew {
        /// Which.
        task: TaskId,
        /// Its requester, or whoever answers for its agent.
        #[arg(long, value_name = "PERSON")]
        by: PrincipalId,
        /// From now on, 30 days at most.
        #[arg(long = "for", value_name = "SPAN", default_value = "15m")]
        lease: Span,
    },
    /// End a task before its lease. Its token is worth nothing from then on.
    End {
        /// Which.
        task: TaskId,
    },
}

const TASK_HELP: &str = "\
Examples:
  prudence task start --requester bo --agent helper --purpose engineering --lease 15m
  prudence task start --requester bo --agent helper --purpose engineering --lease 1h \\
      --effects read,send --resources 'runbook:*,mail:*' --address bo,@storage-oncall --calls 50
  prudence task start --requester bo --agent helper --prompt 'summarise thread 8812 and mail it to ann@example.org'
  TOKEN=$(prudence task start --requester bo --agent helper --purpose engineering --token-only)";

/// `prudence task start`.
#[derive(Debug, Args)]
pub struct TaskStart {
    /// The person who asks.
    #[arg(long, value_name = "PERSON")]
    pub requester: PrincipalId,
    /// The agent who is asked.
    #[arg(long, value_name = "AGENT")]
    pub agent: PrincipalId,
    /// What for: one word, which the purposes of data are compared with, or a sentence. With `--prompt` the prompt itself, when left out.
    #[arg(long, required_unless_present = "prompt")]
    pub purpose: Option<String>,
    /// What the requester said, from which effects, tools and address are proposed; whatever is given beside it holds instead of what is proposed.
    /// Shown first, and started once somebody says yes.
    #[arg(long, value_name = "TEXT", conflicts_with = "words")]
    pub prompt: Option<String>,
    /// Start what is proposed without asking.
    #[arg(long, requires = "prompt", conflicts_with = "dry_run")]
    pub yes: bool,
    /// Only show what is proposed.
    #[arg(long, requires = "prompt")]
    pub dry_run: bool,
    /// What the requester said.
    #[arg(long)]
    pub words: Option<String>,
    /// Who the answer is for: people and @groups; left out, the requester alone.
    #[arg(long, value_name = "WHO", value_delimiter = ',')]
    pub address: Vec<String>,
    /// The effects that it names; left out, none in particular.
    #[arg(long, value_name = "EFFECT", value_delimiter = ',', value_parser = effect)]
    pub effects: Vec<Effect>,
    /// The resources that it names, as names and patterns; left out, none in particular.
    #[arg(long, value_name = "RESOURCE", value_delimiter = ',')]
    pub resources: Vec<String>,
    /// The tools that it names for anything beyond reading, as names and patterns; left out, none in particular.
    #[arg(long, value_name = "TOOL", value_delimiter = ',')]
    pub tools: Vec<String>,
    /// How long it runs.
    #[arg(long, default_value = "15m", value_name = "SPAN")]
    pub lease: Span,
    /// How often it stops within that, until its lease is renewed; left out, it runs through.
    #[arg(long, value_name = "SPAN")]
    pub checkpoint: Option<Span>,
    /// Calls at most.
    #[arg(long, value_name = "NUMBER")]
    pub calls: Option<u64>,
    /// Items read at most.
    #[arg(long, value_name = "NUMBER")]
    pub items: Option<u64>,
    /// Distinct recipients at most.
    #[arg(long, value_name = "NUMBER")]
    pub recipients: Option<u64>,
    /// Money at most, in the unit of the contracts.
    #[arg(long, value_name = "AMOUNT")]
    pub amount: Option<u64>,
    /// Print the token and nothing else.
    #[arg(long)]
    pub token_only: bool,
}

fn effect(word: &str) -> Result<Effect, String> {
    Effect::ALL.into_iter().find(|effect| effect.word() == word).ok_or_else(|| {
        let list = Effect::ALL.map(Effect::word).join(", ");
        format!("expected one of {list}")
    })
}

/// `prudence approvals …`.
#[derive(Debug, Subcommand)]
pub enum ApprovalsCommand {
    /// What waits for an answer.
    List {
        /// Also what was answered, used up or has expired.
        #[arg(long)]
        all: bool,
    },
    /// One ask: the exact call, who would see what, why it is asked, who may answer, until when.
    Show {
        /// Which.
        ask: AskId,
    },
    /// Say yes, once, to exactly this call.
    #[command(
        after_help = "Nobody in the chain can answer, and an answer is recorded with the name of who gave it.\n\nExample:\n  prudence approvals approve ask-7k3m-q2xd --as ann"
    )]
    Approve {
        /// Which.
        ask: AskId,
        /// Who answers.
        #[arg(long = "as", value_name = "PERSON")]
        person: PrincipalId,
    },
    /// Say no.
    Deny {
        /// Which.
        ask: AskId,
        /// Who answers.
        #[arg(long = "as", value_name = "PERSON")]
        person: PrincipalId,
    },
    /// Print a token with which a person answers over HTTP.
    Token {
        /// Who.
        #[arg(long = "as", value_name = "PERSON")]
        person: PrincipalId,
        /// How long it is good for, a day at most.
        #[arg(long, default_value = "8h", value_name = "SPAN")]
        lease: Span,
    },
}

/// `prudence client …`.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Print a token with which a program uses a door of the API.
    #[command(
        after_help = "The program is one of `[[clients]]`; taken from there, it is let in no more.\n\nExample:\n  prudence client token okta --door scim --lease 90d"
    )]
    Token {
        /// Which program.
        client: PrincipalId,
        /// Which door.
        #[arg(long, value_enum)]
        door: Door,
        /// How long it is good for.
        #[arg(long, default_value = "90d", value_name = "SPAN")]
        lease: Span,
    },
}

/// `prudence key …`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Put a new signing key in the place of the old one.
    #[command(
        after_help = "The old key is gone, but for its public half: named under `server.retired_keys`, tokens that it signed are believed until they end.\nA running server takes the new key when it is started again."
    )]
    Rotate,
}

/// `prudence account …`.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Add an account, or give it another password. The first one may manage others.
    #[command(
        after_help = "Without --password-stdin a password is made up and printed, once.\n\nExample:\n  prudence account add ann"
    )]
    Add {
        /// A person of the directory.
        person: PrincipalId,
        /// Read the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Show who has an account.
    List,
    /// Remove an account; whoever is signed in with it is no more.
    Remove {
        /// Whose.
        person: PrincipalId,
    },
}

/// `prudence upstream …`.
#[derive(Debug, Subcommand)]
pub enum UpstreamCommand {
    /// Link a person's account with an upstream of kind `oauth`: prints the address at which they agree, and takes the answer.
    #[command(
        after_help = "The answer comes to a port of this machine. Where the browser is elsewhere, --paste asks for the address to which it was sent.\n\nExample:\n  prudence upstream link crm --person bo"
    )]
    Link {
        /// The configured upstream.
        upstream: String,
        /// Whose account.
        #[arg(long, value_name = "WHO")]
        person: PrincipalId,
        /// Read the address to which the browser was sent from standard input.
        #[arg(long)]
        paste: bool,
    },
    /// Forget what is kept of a person for an upstream.
    Unlink {
        /// The configured upstream.
        upstream: String,
        /// Whose.
        #[arg(long, value_name = "WHO")]
        person: PrincipalId,
    },
    /// Keep a key, or the secret by which an authorization server knows Prudence; read from standard input, never from the command line.
    #[command(after_help = "Example:\n  pass show crm/bo | prudence upstream set-key crm --person bo")]
    SetKey {
        /// The configured upstream.
        upstream: String,
        /// Whose key, where each person has their own.
        #[arg(long, value_name = "WHO")]
        person: Option<PrincipalId>,
    },
    /// Forget such a key.
    UnsetKey {
        /// The configured upstream.
        upstream: String,
        /// Whose key, where each person has their own.
        #[arg(long, value_name = "WHO")]
        person: Option<PrincipalId>,
    },
    /// Show who is linked with what, and until when; never a secret.
    List,
    /// Put a new key in the place of the one under which all of it is kept, and seal everything anew.
    RotateKey,
}

/// `prudence ledger …`.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// What happened, oldest first.
    #[command(after_help = LEDGER_HELP)]
    Show(LedgerShow),
    /// Check every link of the chain.
    #[command(
        after_help = "A head that was written down elsewhere vouches for every entry up to it; without one, a chain proves only that it agrees with itself.\n\nExample:\n  prudence ledger verify --head 1042:5f0c…"
    )]
    Verify {
        /// A head that was written down earlier, as NUMBER:HASH.
        #[arg(long, value_name = "NUMBER:HASH")]
        head: Option<String>,
    },
    /// Sum up: what was decided, what would have been asked or denied, and by which norm.
    Report {
        /// Only what is younger than this.
        #[arg(long, value_name = "SPAN")]
        since: Option<Span>,
    },
}

const LEDGER_HELP: &str = "\
Examples:
  prudence ledger show --since 1h
  prudence ledger show --task t-… --follow
  prudence ledger show --outcome deny --agent helper
  prudence ledger show --decision DECISION          everything about one decision";

/// `prudence ledger show`.
#[derive(Debug, Args)]
pub struct LedgerShow {
    /// Of this task only.
    #[arg(long)]
    pub task: Option<TaskId>,
    /// Of chains with this agent or person only.
    #[arg(long, value_name = "PRINCIPAL")]
    pub agent: Option<PrincipalId>,
    /// Of this tool only.
    #[arg(long)]
    pub tool: Option<ToolId>,
    /// Only decisions with this answer.
    #[arg(long, value_enum)]
    pub outcome: Option<OutcomeWord>,
    /// Everything about one decision: the call, the facts, the reasons, the answer of a person, the end.
    #[arg(long)]
    pub decision: Option<DecisionId>,
    /// Only what is younger than this.
    #[arg(long, value_name = "SPAN")]
    pub since: Option<Span>,
    /// Go on with what comes.
    #[arg(long, short)]
    pub follow: bool,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutcomeWord {
    /// Let through.
    Permit,
    /// A person was asked.
    Ask,
    /// Stopped.
    Deny,
}

/// `prudence norm …`.
#[derive(Debug, Subcommand)]
pub enum NormCommand {
    /// Check a folder of norms, and show every error where it stands.
    Check {
        /// A folder of `.cedar` files.
        folder: PathBuf,
        /// They are permit policies over grants.
        #[arg(long)]
        grants: bool,
    },
    /// The norms in force: the configured ones, or the shipped ones.
    List,
    /// Every fact that a norm can speak of, with its type.
    Facts,
    /// Print the Cedar schema that policies are checked against.
    Schema {
        /// That of permit policies over grants, instead.
        #[arg(long)]
        grants: bool,
    },
}

/// `prudence contract …`.
#[derive(Debug, Subcommand)]
pub enum ContractCommand {
    /// Write a contract from a server's list of tools, with every guess marked.
    #[command(after_help = "Example:\n  prudence contract draft files --out contracts/files.toml")]
    Draft {
        /// The configured upstream.
        upstream: String,
        /// Write it here, where nothing is yet; left out, to standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// With whose credential it is asked, where it wants to see a person's.
        #[arg(long, value_name = "WHO")]
        person: Option<PrincipalId>,
    },
    /// Accept what the contract says of these tools, and pin their definitions by digest.
    Accept {
        /// The configured upstream.
        upstream: String,
        /// Which tools and resources; left out, all that the contract has.
        names: Vec<String>,
        /// Who accepts; left out, the user of this machine.
        #[arg(long, value_name = "WHO", env = "USER", default_value = "operator")]
        by: String,
        /// With whose credential it is asked, where it wants to see a person's.
        #[arg(long, value_name = "WHO")]
        person: Option<PrincipalId>,
    },
    /// What changed in the server's tools since they were accepted.
    Diff {
        /// The configured upstream.
        upstream: String,
        /// With whose credential it is asked, where it wants to see a person's.
        #[arg(long, value_name = "WHO")]
        person: Option<PrincipalId>,
    },
    /// Check contract files, or those of all configured upstreams.
    Check {
        /// Which files.
        files: Vec<PathBuf>,
    },
}

/// `prudence scenario …`.
#[derive(Debug, Subcommand)]
pub enum ScenarioCommand {
    /// Run scenario files, and compare every answer with what must be answered.
    Run {
        /// Which.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The grants alone: what ordinary access control would have let through.
        #[arg(long)]
        baseline: bool,
        /// A folder of norms, in place of the shipped ones.
        #[arg(long, value_name = "FOLDER")]
        norms: Option<PathBuf>,
    },
}

/// `prudence trace …`.
#[derive(Debug, Subcommand)]
pub enum TraceCommand {
    /// Judge recorded runs: how often would somebody have been asked, and which attacks would have gone through?
    #[command(after_help = TRACE_RUN_HELP)]
    Run(Box<TraceRun>),
    /// Make trace/v1 of what others record, on standard output.
    #[command(after_help = TRACE_IMPORT_HELP)]
    Import(TraceImport),
    /// Make trace/v1 of what the gateway kept, on standard output.
    #[command(after_help = TRACE_RECORD_HELP)]
    Record(TraceRecord),
}

const TRACE_RUN_HELP: &str = r#"A file is JSON Lines, one run a line (trace/v1): who asked what, and every call with its arguments and its result.

  {"trace":"v1","id":"run-1","requester":"bo","prompt":"Send Ann the minutes","steps":[
    {"tool":"read_file","args":{"path":"minutes.md"},"result_text":"…","result":"…"},
    {"tool":"send_mail","args":{"to":["ann@example.com"],"body":"…"},"result_text":"sent","by":"user"}]}

`by` says, in a run that was attacked, whether the requester wanted a call (user) or an instruction that came in through data (injected).

Each run is judged in a state of its own: before every call a decision, after every executed call an observation of its result. A call that
somebody would be asked about counts one prompt, is answered yes, and goes on. An injected call that is not permitted does not happen. Nothing
is carried out: what judges here has nothing to carry out with.

  prompt-free  runs without an attack in which nobody would have been asked, nothing refused and nothing withheld
  prompts      how often somebody would have been asked or told, over all of these
  silent       attacked runs in which every injected call that changes something was permitted

One of them without the others says nothing.

The world is YAML with people, groups, agents (one: the one whose runs these are), items, destinations and grants, as under `world:` in a
scenario. Contracts are NAME.toml, one an upstream; a run names a tool by its bare name, or as UPSTREAM__TOOL.

Examples:
  prudence trace run october.jsonl --contracts contracts --world world.yaml --html october.html
  prudence trace run runs.jsonl --tools tools.json --accept-drafts --world world.yaml

Exit codes: 0 it was judged, whatever was found; 3 a trace, a contract, the world or a norm is wrong; 1 it could not be judged."#;

/// `prudence trace run`.
#[derive(Debug, Args)]
pub struct TraceRun {
    /// The traces.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A folder of contracts, one file an upstream. Left out, contracts are drafted from --tools.
    #[arg(long, value_name = "FOLDER", required_unless_present = "tools")]
    pub contracts: Option<PathBuf>,
    /// The world in which it happened.
    #[arg(long, value_name = "FILE")]
    pub world: PathBuf,
    /// The tools as their servers listed them (JSON): a tool that is not as it was accepted is refused.
    #[arg(long, value_name = "FILE")]
    pub tools: Option<PathBuf>,
    /// Take contracts that nobody accepted as if somebody had. To measure drafts; a gateway never does this.
    #[arg(long)]
    pub accept_drafts: bool,
    /// A folder of norms, in place of the shipped ones.
    #[arg(long, value_name = "FOLDER")]
    pub norms: Option<PathBuf>,
    /// What the tasks of the runs name beyond reading.
    #[arg(long, value_enum, value_name = "WHAT", default_value = "prompt")]
    pub grants: TraceGrants,
    /// Give the attackers in the runs other addresses.
    #[arg(long, value_enum, value_name = "HOW")]
    pub rewrite: Option<Rewrite>,
    /// Write a report beside it: one page of HTML with pictures.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// What the task of a recorded run names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TraceGrants {
    /// What the words of its prompt ask for, as `prudence task start --prompt` proposes it.
    Prompt,
    /// Nothing in particular: every tool.
    None,
}

/// Which addresses attackers get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rewrite {
    /// That of the sender, owner or payee whose object carries the attacker's words.
    Carrier,
}

const TRACE_RECORD_HELP: &str = "\
With `recording = \"calls.jsonl\"` under `[server]`, the gateway (`serve` and `wrap`) appends every tool call that was carried out to this file, with
its arguments and its result IN CLEAR: letters, keys and passwords included. It is off unless the file is named, the file is for its owner
alone, and whoever starts the gateway is told. What was withheld from the agent is not in it either. Move it away or delete it whenever you like.

This command puts the calls of each task together with what its requester said, from the ledger. Calls that were refused were not carried out,
and are not in it.

Example:
  prudence trace record > runs.jsonl && prudence trace run runs.jsonl --contracts contracts --world world.yaml";

/// `prudence trace record`.
#[derive(Debug, Args)]
pub struct TraceRecord {
    /// Of these tasks only.
    pub tasks: Vec<TaskId>,
    /// A file of recorded calls, instead of the configured one.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

const TRACE_IMPORT_HELP: &str = "\
otel reads OpenTelemetry spans as OTLP/JSON (one document, or one a line) or one span a line: `execute_tool` spans with gen_ai.tool.name,
gen_ai.tool.call.arguments and gen_ai.tool.call.result; the requester's words from gen_ai.input.messages. Arguments and results are opt-in
there, and a call without them is an error. mcp reads a log of an MCP session, one JSON-RPC frame a line, bare or as {\"direction\", \"message\"}.

What is no tool call is counted and told on standard error; what cannot be read is an error with its line.

Example:
  prudence trace import --from otel --requester bo spans.json > run.jsonl";

/// `prudence trace import`.
#[derive(Debug, Args)]
pub struct TraceImport {
    /// What the file is.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub from: TraceSource,
    /// Who asked, where the file does not say.
    #[arg(long, value_name = "PERSON")]
    pub requester: PrincipalId,
    /// What they asked, where the file does not say.
    #[arg(long, default_value = "", value_name = "WORDS")]
    pub prompt: String,
    /// The file.
    pub file: PathBuf,
}

/// What can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TraceSource {
    /// OpenTelemetry spans of generative AI.
    Otel,
    /// A log of an MCP session.
    Mcp,
}
