//! What users, groups and agents are made of: the schemas of RFC 7643 §4 and of draft-wzdk-scim-agent-resource, once, as data.
//!
//! `/Schemas` is printed from here, and requests are read by it: attributes by name whatever its case, of the right type, and none that
//! only the service says. It knows no directory and no HTTP.

use serde_json::{Map, Value, json};

use super::error::{Refusal, ScimType};

/// The schema of an error (RFC 7644 §3.12).
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
/// The schema of a list (RFC 7644 §3.4.2).
pub const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// The schema of a search (RFC 7644 §3.4.3).
pub const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// The schema of a patch (RFC 7644 §3.5.2).
pub const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// The schema of a bulk request (RFC 7644 §3.7).
pub const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// The schema of its answer.
pub const BULK_ANSWER: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
/// The enterprise extension of users (RFC 7643 §4.3).
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const AGENT: &str = "urn:ietf:params:scim:schemas:core:2.0:Agent";

/// A type of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A person.
    User,
    /// A group.
    Group,
    /// An agent.
    Agent,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::User, Kind::Group, Kind::Agent];

    /// Its name (`meta.resourceType`).
    pub fn name(self) -> &'static str {
        match self {
            Kind::User => "User",
            Kind::Group => "Group",
            Kind::Agent => "Agent",
        }
    }

    /// Its endpoint, without the slash.
    pub fn endpoint(self) -> &'static str {
        match self {
            Kind::User => "Users",
            Kind::Group => "Groups",
            Kind::Agent => "Agents",
        }
    }

    /// The type at an endpoint.
    pub fn at(endpoint: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.endpoint() == endpoint)
    }

    /// Its core schema.
    pub fn schema(self) -> &'static str {
        match self {
            Kind::User => USER,
            Kind::Group => GROUP,
            Kind::Agent => AGENT,
        }
    }

    /// The attribute that names it for people, required and of one resource only where that is demanded.
    pub fn naming(self) -> &'static str {
        match self {
            Kind::User => "userName",
            Kind::Group => "displayName",
            Kind::Agent => "agentUserName",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Kind::User => "A person",
            Kind::Group => "A group of people, agents and other groups",
            Kind::Agent => "An agent, with the people who answer for it",
        }
    }

    fn core(self) -> &'static [Attribute] {
        match self {
            Kind::User => USER_ATTRIBUTES,
            Kind::Group => GROUP_ATTRIBUTES,
            Kind::Agent => AGENT_ATTRIBUTES,
        }
    }

    fn extensions(self) -> &'static [&'static str] {
        match self {
            Kind::User => &[ENTERPRISE],
            Kind::Group | Kind::Agent => &[],
        }
    }

    /// The attributes under `urn`, this kind's core schema or an extension of it, whatever its case.
    pub fn part(self, urn: &str) -> Option<Part> {
        if urn.eq_ignore_ascii_case(self.schema()) {
            return Some(Part { kind: self, extension: None });
        }
        let extension = self.extensions().iter().find(|known| known.eq_ignore_ascii_case(urn))?;
        Some(Part { kind: self, extension: Some(extension) })
    }
}

/// The core attributes of a resource, or those of one extension.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    kind: Kind,
    /// The extension; `None` for the core attributes.
    pub extension: Option<&'static str>,
}

impl Part {
    /// The core attributes.
    pub fn core(kind: Kind) -> Part {
        Part { kind, extension: None }
    }

    /// An attribute by its name, whatever its case.
    pub fn attribute(self, name: &str) -> Option<&'static Attribute> {
        let (own, common) = match self.extension {
            Some(_) => (ENTERPRISE_ATTRIBUTES, &[][..]),
            None => (self.kind.core(), COMMON_ATTRIBUTES),
        };
        find(own, name).or_else(|| find(common, name))
    }
}

fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

/// What an attribute holds (RFC 7643 §2.3).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Holds {
    /// Text.
    Text,
    /// Yes or no.
    Boolean,
    /// A moment (RFC 3339).
    Moment,
    /// Base64.
    Binary,
    /// A URI of something of these types.
    Reference(&'static [&'static str]),
    /// Other attributes.
    Complex(&'static [Attribute]),
}

/// An attribute (RFC 7643 §7).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    about: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// Whether it has many values.
    pub many: bool,
    /// Whether there has to be one.
    pub required: bool,
    /// Whether case counts.
    pub exact: bool,
    /// Whether only the service says it.
    pub read_only: bool,
    immutable: bool,
    unique: bool,
    always: bool,
    words: &'static [&'static str],
}

impl Attribute {
    const fn new(name: &'static str, holds: Holds, about: &'static str) -> Self {
        let exact = matches!(holds, Holds::Binary | Holds::Reference(_) | Holds::Moment);
        Self {
            name,
            about,
            holds,
            many: false,
            required: false,
            exact,
            read_only: false,
            immutable: false,
            unique: false,
            always: false,
            words: &[],
        }
    }

    const fn many(self) -> Self {
        Self { many: true, ..self }
    }

    const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    const fn unique(self) -> Self {
        Self { unique: true, ..self }
    }

    const fn exact(self) -> Self {
        Self { exact: true, ..self }
    }

    const fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    const fn immutable(self) -> Self {
        Self { immutable: true, ..self }
    }

    const fn always(self) -> Self {
        Self { always: true, ..self }
    }

    const fn words(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    /// A sub-attribute by its name, whatever its case.
    pub fn sub(&self, name: &str) -> Option<&'static Attribute> {
        match self.holds {
            Holds::Complex(attributes) => find(attributes, name),
            Holds::Text | Holds::Boolean | Holds::Moment | Holds::Binary | Holds::Reference(_) => None,
        }
    }

    fn json(&self) -> Value {
        let mut json = json!({
            "name": self.name,
            "description": self.about,
            "multiValued": self.many,
            "required": self.required,
            "mutability": if self.read_only { "readOnly" } else if self.immutable { "immutable" } else { "readWrite" },
            "returned": if self.always { "always" } else { "default" },
        });
        let of_type = match self.holds {
            Holds::Text => "string",
            Holds::Boolean => "boolean",
            Holds::Moment => "dateTime",
            Holds::Binary => "binary",
            Holds::Reference(types) => {
                json["referenceTypes"] = json!(types);
                "reference"
            }
            Holds::Complex(attributes) => {
                json["subAttributes"] = attributes.iter().map(Attribute::json).collect();
                "complex"
            }
        };
        json["type"] = of_type.into();
        if !matches!(self.holds, Holds::Boolean | Holds::Complex(_)) {
            json["caseExact"] = self.exact.into();
            json["uniqueness"] = if self.unique { "server" } else { "none" }.into();
        }
        if !self.words.is_empty() {
            json["canonicalValues"] = json!(self.words);
        }
        json
    }
}

const fn text(name: &'static str, about: &'static str) -> Attribute {
    Attribute::new(name, Holds::Text, about)
}

const fn complex(name: &'static str, about: &'static str, of: &'static [Attribute]) -> Attribute {
    Attribute::new(name, Holds::Complex(of), about)
}

const fn display() -> Attribute {
    text("display", "A name for people to read")
}

const fn primary() -> Attribute {
    Attribute::new("primary", Holds::Boolean, "Whether it is the preferred one")
}

const fn label() -> Attribute {
    text("type", "What it is for")
}

/// Attributes of every resource (RFC 7643 §3.1); they are in no schema.
const COMMON_ATTRIBUTES: &[Attribute] = &[
    text("id", "The identifier in this service").exact().read_only().always(),
    text("externalId", "The identifier in the client").exact(),
    Attribute::new("schemas", Holds::Reference(&["uri"]), "The schemas of the resource").many().read_only().always(),
    complex(
        "meta",
        "About the resource",
        &[
            text("resourceType", "Its type").exact().read_only(),
            Attribute::new("created", Holds::Moment, "When it was made").read_only(),
            Attribute::new("lastModified", Holds::Moment, "When it changed last").read_only(),
            Attribute::new("location", Holds::Reference(&["uri"]), "Where it is").read_only(),
            text("version", "Its version").exact().read_only(),
        ],
    )
    .read_only(),
];

const PLURAL_TEXT: &[Attribute] = &[text("value", "The value"), display(), label(), primary()];

const USER_ATTRIBUTES: &[Attribute] = &[
    text("userName", "The name by which the client knows the person").required().unique(),
    complex(
        "name",
        "The parts of the person's name",
        &[
            text("formatted", "The whole name"),
            text("familyName", "The family name"),
            text("givenName", "The given name"),
            text("middleName", "Middle names"),
            text("honorificPrefix", "What goes before, like a title"),
            text("honorificSuffix", "What goes after"),
        ],
    ),
    text("displayName", "The name to show"),
    text("nickName", "What the person is called"),
    Attribute::new("profileUrl", Holds::Reference(&["external"]), "A page about the person"),
    text("title", "The position in the organisation, an attribute for clearance"),
    text("userType", "The relation to the organisation, an attribute for clearance"),
    text("preferredLanguage", "The languages that the person prefers"),
    text("locale", "How numbers and dates are shown"),
    text("timezone", "The time zone"),
    Attribute::new("active", Holds::Boolean, "Whether the person is here; who is not is in no audience"),
    complex("emails", "Mail addresses, by which tools name the person", PLURAL_TEXT).many(),
    complex("phoneNumbers", "Telephone numbers", PLURAL_TEXT).many(),
    complex("ims", "Addresses for instant messages", PLURAL_TEXT).many(),
    complex(
        "photos",
        "Pictures",
        &[Attribute::new("value", Holds::Reference(&["external"]), "Where it is"), display(), label(), primary()],
    )
    .many(),
    complex(
        "addresses",
        "Postal addresses",
        &[
            text("formatted", "The whole address"),
            text("streetAddress", "Street and number"),
            text("locality", "City"),
            text("region", "Region"),
            text("postalCode", "Postal code"),
            text("country", "Country"),
            label(),
            primary(),
        ],
    )
    .many(),
    complex(
        "groups",
        "The groups that the person is in",
        &[
            text("value", "The group's id").read_only(),
            Attribute::new("$ref", Holds::Reference(&["Group"]), "Where the group is").read_only(),
            text("display", "The group's name").read_only(),
            text("type", "In it by themselves, or through another group").read_only().words(&["direct", "indirect"]),
        ],
    )
    .many()
    .read_only(),
    complex("entitlements", "Entitlements, attributes for clearance", PLURAL_TEXT).many(),
    complex("roles", "Roles, attributes for clearance", PLURAL_TEXT).many(),
    complex(
        "x509Certificates",
        "Certificates",
        &[Attribute::new("value", Holds::Binary, "The certificate in DER"), display(), label(), primary()],
    )
    .many(),
];

const ENTERPRISE_ATTRIBUTES: &[Attribute] = &[
    text("employeeNumber", "The number within the organisation, an attribute for clearance"),
    text("costCenter", "The cost centre, an attribute for clearance"),
    text("organization", "The organisation, an attribute for clearance"),
    text("division", "The division, an attribute for clearance"),
    text("department", "The department, an attribute for clearance"),
    complex(
        "manager",
        "The person's manager",
        &[
            text("value", "The manager's id"),
            Attribute::new("$ref", Holds::Reference(&["User"]), "Where the manager is"),
            text("displayName", "The manager's name").read_only(),
        ],
    ),
];

const GROUP_ATTRIBUTES: &[Attribute] = &[
    text("displayName", "The group's name").required(),
    complex(
        "members",
        "Who is in it by themselves",
        &[
            text("value", "The member's id").immutable(),
            Attribute::new("$ref", Holds::Reference(&["User", "Group", "Agent"]), "Where the member is").immutable(),
            text("type", "What the member is").immutable().words(&["User", "Group", "Agent"]),
        ],
    )
    .many(),
];

const AGENT_ATTRIBUTES: &[Attribute] = &[
    text("agentUserName", "The name by which the client knows the agent").required().unique(),
    text("displayName", "The name to show"),
    text("description", "What the agent is for"),
    Attribute::new("active", Holds::Boolean, "Whether it is in use; one that is not is as if it were not registered"),
    complex(
        "owners",
        "The people who answer for it; the primary one, else the first, counts",
        &[
            text("value", "The person's id").required(),
            Attribute::new("$ref", Holds::Reference(&["User"]), "Where the person is"),
            display(),
            primary(),
        ],
    )
    .many()
    .required(),
];

/// The document of one schema (RFC 7643 §7), where there is one of that name.
pub fn schema_json(urn: &str, base: &str) -> Option<Value> {
    let (id, name, about, attributes) = if urn.eq_ignore_ascii_case(ENTERPRISE) {
        (ENTERPRISE, "EnterpriseUser", "What an organisation says of a person", ENTERPRISE_ATTRIBUTES)
    } else {
        let kind = Kind::ALL.into_iter().find(|kind| kind.schema().eq_ignore_ascii_case(urn))?;
        (kind.schema(), kind.name(), kind.about(), kind.core())
    };
    Some(json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": id,
        "name": name,
        "description": about,
        "attributes": attributes.iter().map(Attribute::json).collect::<Vec<_>>(),
        "meta": { "resourceType": "Schema", "location": format!("{base}/Schemas/{id}") },
    }))
}

/// All schemas.
pub fn schemas_json(base: &str) -> Vec<Value> {
    [USER, ENTERPRISE, GROUP, AGENT].iter().filter_map(|urn| schema_json(urn, base)).collect()
}

/// The document of one type of resource (RFC 7643 §6).
pub fn type_json(kind: Kind, base: &str) -> Value {
    let extensions: Vec<_> = kind.extensions().iter().map(|urn| json!({ "schema": urn, "required": false })).collect();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": kind.name(),
        "name": kind.name(),
        "description": kind.about(),
        "endpoint": format!("/{}", kind.endpoint()),
        "schema": kind.schema(),
        "schemaExtensions": extensions,
        "meta": { "resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{}", kind.name()) },
    })
}

/// Reads what a client sent for a whole resource: names in their own case, values of their types, nothing that only the service says, and
/// nothing that is not assigned (`null`, an empty list; RFC 7643 §2.5). What no schema knows stays as it was sent.
///
/// # Errors
/// What does not fit.
pub fn read(kind: Kind, body: Value) -> Result<Map<String, Value>, Refusal> {
    let Value::Object(body) = body else { return Err(Refusal::syntax("expected a JSON object")) };
    let is_of_kind = |schemas: &Value| {
        schemas
            .as_array()
            .is_some_and(|urns| urns.iter().any(|urn| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(kind.schema()))))
    };
    let schemas = body.iter().find(|(name, _)| name.eq_ignore_ascii_case("schemas"));
    if !schemas.is_some_and(|(_, schemas)| is_of_kind(schemas)) {
        return Err(Refusal::syntax(format!("expected `schemas` with `{}`", kind.schema())));
    }
    let mut resource = Map::new();
    for (name, value) in body {
        let (name, value) = match kind.part(&name) {
            Some(part @ Part { extension: Some(urn), .. }) => (urn.to_owned(), members(part, urn, value)?),
            Some(_) | None => match member(Part::core(kind), &name, value)? {
                Some(read) => read,
                None => continue,
            },
        };
        put(&mut resource, name, value)?;
    }
    Ok(resource)
}

/// What has to be there and is not.
///
/// # Errors
/// The first attribute that is required and missing.
pub fn complete(kind: Kind, resource: &Map<String, Value>) -> Result<(), Refusal> {
    let is_said = |attribute: &Attribute| match resource.get(attribute.name) {
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(value) => !is_unassigned(value),
        None => false,
    };
    match kind.core().iter().find(|attribute| attribute.required && !is_said(attribute)) {
        Some(attribute) => Err(Refusal::bad(ScimType::InvalidValue, format!("expected `{}`", attribute.name))),
        None => Ok(()),
    }
}

/// An attribute that came by name: `None` when it is one that only the service says, or that is never kept.
fn member(part: Part, name: &str, value: Value) -> Result<Option<(String, Value)>, Refusal> {
    // A password is nobody's business here, and the ledger would keep it for good.
    if part.extension.is_none() && name.eq_ignore_ascii_case("password") {
        return Ok(None);
    }
    // Some clients say in an extension as well which schema it is.
    if part.extension.is_some() && name.eq_ignore_ascii_case("schemas") {
        return Ok(None);
    }
    match part.attribute(name) {
        Some(attribute) if attribute.read_only => Ok(None),
        Some(attribute) => Ok(Some((attribute.name.to_owned(), value_of(attribute, value)?))),
        None => Ok(Some((name.to_owned(), value))),
    }
}

fn members(part: Part, path: &str, value: Value) -> Result<Value, Refusal> {
    let Value::Object(members) = value else {
        return if value.is_null() { Ok(value) } else { Err(unfit(path, "an object")) };
    };
    let mut read = Map::new();
    for (name, value) in members {
        if let Some((name, value)) = member(part, &name, value)? {
            put(&mut read, name, value)?;
        }
    }
    Ok(Value::Object(read))
}

fn put(into: &mut Map<String, Value>, name: String, value: Value) -> Result<(), Refusal> {
    if into.contains_key(&name) {
        return Err(Refusal::syntax(format!("`{name}` is there twice")));
    }
    if !is_unassigned(&value) {
        into.insert(name, value);
    }
    Ok(())
}

/// Whether a value says that there is none (RFC 7643 §2.5).
pub fn is_unassigned(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A value as the attribute holds it.
///
/// # Errors
/// When it is of another type.
pub fn value_of(attribute: &Attribute, value: Value) -> Result<Value, Refusal> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    if !attribute.many {
        return one(attribute, value);
    }
    let Value::Array(items) = value else { return Err(unfit(attribute.name, "a list")) };
    let items = items.into_iter().map(|item| one(attribute, item)).collect::<Result<Vec<_>, _>>()?;
    // RFC 7643 §2.4.
    if items.iter().filter(|item| item["primary"] == true).count() > 1 {
        return Err(Refusal::bad(ScimType::InvalidValue, format!("`{}` has more than one primary value", attribute.name)));
    }
    Ok(Value::Array(items))
}

/// One value of an attribute, whether it has many or not.
///
/// # Errors
/// When it is of another type.
pub fn one(attribute: &Attribute, value: Value) -> Result<Value, Refusal> {
    let unfit = |expected| Err(unfit(attribute.name, expected));
    match (attribute.holds, value) {
        (Holds::Text | Holds::Moment | Holds::Binary | Holds::Reference(_), value @ Value::String(_)) => Ok(value),
        (Holds::Text | Holds::Moment | Holds::Binary | Holds::Reference(_), _) => unfit("text"),
        (Holds::Boolean, value @ Value::Bool(_)) => Ok(value),
        // As one large identity provider writes it.
        (Holds::Boolean, Value::String(word)) if word.eq_ignore_ascii_case("true") => Ok(true.into()),
        (Holds::Boolean, Value::String(word)) if word.eq_ignore_ascii_case("false") => Ok(false.into()),
        (Holds::Boolean, _) => unfit("`true` or `false`"),
        (Holds::Complex(_), Value::Object(members)) => {
            let mut read = Map::new();
            for (name, value) in members {
                match attribute.sub(&name) {
                    Some(sub) if sub.read_only => {}
                    Some(sub) => put(&mut read, sub.name.to_owned(), value_of(sub, value)?)?,
                    None => put(&mut read, name, value)?,
                }
            }
            Ok(Value::Object(read))
        }
        // As the same one writes a manager.
        (Holds::Complex(_), Value::String(value)) if !attribute.many && attribute.sub("value").is_some() => {
            Ok(json!({ "value": value }))
        }
        (Holds::Complex(_), Value::Array(mut only)) if !attribute.many && only.len() == 1 => one(attribute, only.remove(0)),
        (Holds::Complex(_), _) => unfit("an object"),
    }
}

fn unfit(name: &str, expected: &str) -> Refusal {
    Refusal::bad(ScimType::InvalidValue, format!("`{name}`: expected {expected}"))
}
