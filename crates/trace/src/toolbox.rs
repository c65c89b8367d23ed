//! The contracts of all upstreams, and the tool that a trace means by a name. A name that two upstreams have means neither.

use contract::{Contracts, Standing, Tool};
use judge::name::ToolId;
use serde_json::Value;
use std::collections::BTreeMap;

/// Contracts, by upstream, and what the tools were shown as.
#[derive(Debug, Default)]
pub struct Toolbox {
    upstreams: Vec<Contracts>,
    /// By bare name.
    definitions: BTreeMap<String, Value>,
}

/// Why a name means no tool that may be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTool {
    /// No contract has it.
    #[error("no contract says what `{0}` does")]
    Unknown(String),
    /// Several contracts have it.
    #[error("`{tool}` is a tool of {}: write which is meant, as in `{}__{tool}`", upstreams.join(" and of "), upstreams[0])]
    Ambiguous {
        /// The name.
        tool: String,
        /// Whose it could be.
        upstreams: Vec<String>,
    },
    /// It is not what was accepted.
    #[error("{0}")]
    Changed(String),
}

impl Toolbox {
    /// These contracts. `definitions` are the tools as their servers showed them: what is not as it was accepted is refused. A tool that is
    /// not among them is taken as it is in the contract.
    #[must_use]
    pub fn new(upstreams: Vec<Contracts>, definitions: Vec<Value>) -> Self {
        let named = |tool: Value| Some((tool.get("name")?.as_str()?.to_owned(), tool));
        Self { upstreams, definitions: definitions.into_iter().filter_map(named).collect() }
    }

    /// All contracts.
    #[must_use]
    pub fn contracts(&self) -> &[Contracts] {
        &self.upstreams
    }

    /// The tool that a trace calls `name`.
    ///
    /// # Errors
    /// [`NoTool`].
    pub fn find(&self, name: &str) -> Result<(ToolId, &Tool), NoTool> {
        let unknown = || NoTool::Unknown(name.to_owned());
        let found: Vec<(&Contracts, &Tool)> = self
            .upstreams
            .iter()
            .filter_map(|contracts| Some((contracts, contracts.tool(within(contracts.upstream(), name)?)?)))
            .collect();
        let (contracts, tool) = match found.as_slice() {
            [] => return Err(unknown()),
            [one] => *one,
            several => {
                let upstreams = several.iter().map(|(contracts, _)| contracts.upstream().to_owned()).collect();
                return Err(NoTool::Ambiguous { tool: name.to_owned(), upstreams });
            }
        };
        if let Some(definition) = self.definitions.get(tool.name()) {
            let standing = contracts.check(definition);
            if let (Standing::Changed { .. }, Some(sentence)) = (&standing, standing.sentence(tool.name())) {
                return Err(NoTool::Changed(sentence));
            }
        }
        let id = ToolId::parse(&format!("{}__{}", contracts.upstream(), tool.name())).map_err(|_| unknown())?;
        Ok((id, tool))
    }
}

/// The bare name, where `name` is one, or is one of this upstream.
fn within<'n>(upstream: &str, name: &'n str) -> Option<&'n str> {
    match name.split_once("__") {
        Some((of, bare)) if of == upstream => Some(bare),
        Some(_) | None => Some(name),
    }
}
