//! Routes that the operator added to one session while it ran, or at its start. They are kept beside its plan, and every
//! plan of the session gets them anew.

use super::{Plan, Source};
use policy::{Addition, Policy, Route};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wire::{Change, short_id};

const VERSION: u32 = 1;

/// How the origin of such a route begins; the id follows.
const ORIGIN_PREFIX: &str = "approved:";

/// What is on disk of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRoutes {
    pub version: u32,
    /// In the order in which they were added.
    pub routes: Vec<SessionRoute>,
}

/// One route, who added it, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRoute {
    /// That of the change that it was approved for, or one of its own.
    pub id: String,
    /// What it was approved for; `None`: the operator began. Two changes can have one id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// User id and name.
    pub by: String,
    /// UTC, RFC 3339.
    pub at: String,
    #[serde(flatten)]
    pub addition: Addition,
    /// Where each value is fetched from that the route brings along.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Source>,
}

impl Default for SessionRoutes {
    fn default() -> Self {
        SessionRoutes { version: VERSION, routes: Vec::new() }
    }
}

impl SessionRoutes {
    /// Whether this version of the program can read them.
    pub fn is_known(&self) -> bool {
        self.version == VERSION
    }

    pub fn find(&self, id: &str) -> Option<&SessionRoute> {
        self.routes.iter().find(|route| route.id == id)
    }

    /// The route that was approved for this change.
    pub fn of_change(&self, change: &Change) -> Option<&SessionRoute> {
        self.routes.iter().find(|route| route.change.as_ref() == Some(change))
    }

    /// Adds a route, in place of one of the same id.
    pub fn add(&mut self, route: SessionRoute) {
        match self.routes.iter_mut().find(|known| known.id == route.id) {
            Some(known) => *known = route,
            None => self.routes.push(route),
        }
    }
}

impl SessionRoute {
    /// `change`: `None` for a route that no change asked for.
    pub fn new(change: Option<&Change>, mut addition: Addition, mut values: BTreeMap<String, Source>) -> SessionRoute {
        // A value of another source makes another route, though it has the same name.
        let id = change.map(Change::id).unwrap_or_else(|| {
            let bare = Route { origin: String::new(), ..addition.route.clone() };
            short_id(&serde_json::to_string(&(bare, &values)).unwrap_or_default())
        });
        addition.route.origin = format!("{ORIGIN_PREFIX}{id}");
        // Names of values are the plan's, which numbers those of its own bottle.
        let mut rename = |name: &mut String, what: &str| {
            if let Some(source) = values.remove(name.as_str()) {
                *name = format!("{ORIGIN_PREFIX}{id}:{what}");
                values.insert(name.clone(), source);
            }
        };
        if let Some(auth) = &mut addition.route.auth {
            rename(&mut auth.token, "token");
        }
        if let Some(name) = &mut addition.route.upstream_ca {
            rename(name, "ca");
        }
        SessionRoute { id, change: change.cloned(), by: String::new(), at: String::new(), addition, values }
    }
}

/// Whether a route of a plan was added to its session by the operator.
pub fn session_route_id(route: &Route) -> Option<&str> {
    route.origin.strip_prefix(ORIGIN_PREFIX)
}

/// A route that a plan cannot have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOutRoute {
    pub id: String,
    pub why: String,
}

impl Plan {
    /// This plan with these routes of its session, and with no others of that kind. A route that contradicts the bottle's
    /// own is left out: the bottle's manifest was changed since.
    pub fn with_session_routes(&self, added: &SessionRoutes) -> (Plan, Vec<LeftOutRoute>) {
        let mut plan = self.clone();
        plan.policy.routes.retain(|route| session_route_id(route).is_none());
        plan.values.retain(|name, _| !name.starts_with(ORIGIN_PREFIX));
        let mut left_out = Vec::new();
        for route in &added.routes {
            match plan.policy.with(&route.addition) {
                Ok(policy) => plan.add_route(policy, route),
                Err(why) => left_out.push(LeftOutRoute { id: route.id.clone(), why }),
            }
        }
        (plan, left_out)
    }

    /// A route of this session. `values`: where those come from that it brings along; a file that the plan trusts already keeps
    /// its name, because routes of one host must name the same.
    pub fn session_route(
        &self,
        change: Option<&Change>,
        addition: Addition,
        values: BTreeMap<String, Source>,
    ) -> SessionRoute {
        let (mut addition, mut values) = (addition, values);
        if let Some(name) = &mut addition.route.upstream_ca
            && let Some(known) = values.get(name.as_str()).and_then(|source| self.value_name(source))
        {
            values.remove(name.as_str());
            *name = known;
        }
        SessionRoute::new(change, addition, values)
    }

    fn value_name(&self, source: &Source) -> Option<String> {
        let mut own = self.values.iter().filter(|(name, _)| !name.starts_with(ORIGIN_PREFIX));
        own.find(|(_, known)| *known == source).map(|(name, _)| name.clone())
    }

    /// Where the values come from that a route of this session names.
    pub fn values_of(&self, route: &SessionRoute) -> BTreeMap<String, Source> {
        self.values.iter().chain(&route.values).map(|(name, source)| (name.clone(), source.clone())).collect()
    }

    fn add_route(&mut self, policy: Policy, route: &SessionRoute) {
        self.policy = policy;
        self.values.extend(route.values.clone());
        let port = route.addition.route.port;
        if !self.listens_on(port) {
            self.go.ports.push(port);
            self.go.ports.sort_unstable();
        }
    }

    /// Whether programs in the bottle can connect to this port of a name.
    pub fn listens_on(&self, port: u16) -> bool {
        [80, 443].contains(&port) || self.go.ports.contains(&port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::Position;

    fn route(json: &str) -> Route {
        let mut value: serde_json::Value = serde_json::from_str(json).unwrap();
        for (key, default) in [
            ("port", serde_json::json!(443)),
            ("methods", serde_json::json!(["GET"])),
            ("paths", serde_json::json!(["/**"])),
            ("origin", serde_json::json!("m:1")),
        ] {
            value.as_object_mut().unwrap().entry(key).or_insert(default);
        }
        serde_json::from_value(value).unwrap()
    }

    fn added(json: &str, values: &[(&str, Source)]) -> SessionRoute {
        let values = values.iter().map(|(name, source)| ((*name).to_owned(), source.clone())).collect();
        SessionRoute::new(None, Addition { route: route(json), position: Position::Last }, values)
    }

    fn plan() -> Plan {
        serde_json::from_str(include_str!("../../tests/fixtures/plans/1-first.json")).unwrap()
    }

    #[test]
    fn a_plan_gets_the_routes_of_its_session_once() {
        let token = ("token:env:A", Source::Env("A".to_owned()));
        let mut all = SessionRoutes::default();
        all.add(added(r#"{"host":"new.org","port":8443,"auth":{"scheme":"bearer","token":"token:env:A"}}"#, &[token]));
        let (plan, before) = (plan(), self::plan());
        let (amended, left_out) = plan.with_session_routes(&all);
        assert!(left_out.is_empty());
        assert_eq!(amended.policy.routes.len(), before.policy.routes.len() + 1);
        let last = amended.policy.routes.last().unwrap();
        let id = session_route_id(last).unwrap();
        assert_eq!(last.auth.as_ref().unwrap().token, format!("approved:{id}:token"));
        assert_eq!(amended.values[&format!("approved:{id}:token")], Source::Env("A".to_owned()));
        assert!(amended.listens_on(8443) && !plan.listens_on(8443));
        assert_eq!(amended.with_session_routes(&all).0, amended, "again");
        let (without, _) = amended.with_session_routes(&SessionRoutes::default());
        assert_eq!((without.policy, without.values), (before.policy, before.values));
    }

    /// Routes of one host must trust the same file, by one name.
    #[test]
    fn a_file_that_is_trusted_already_keeps_its_name() {
        let mut plan = plan();
        plan.policy.routes = vec![route(r#"{"host":"a.org","upstream_ca":"ca:3"}"#)];
        let file = Source::File("/ca.pem".into());
        plan.values.insert("ca:3".to_owned(), file.clone());
        let mine = Addition { route: route(r#"{"host":"a.org","upstream_ca":"ca:1"}"#), position: Position::Last };
        let values = BTreeMap::from([("ca:1".to_owned(), file)]);
        let mut all = SessionRoutes::default();
        all.add(plan.session_route(None, mine, values));
        assert_eq!(plan.with_session_routes(&all).1, []);
        assert!(all.routes[0].values.is_empty());
    }

    #[test]
    fn what_contradicts_the_bottle_is_left_out() {
        let mut plan = plan();
        plan.policy.routes = vec![route(r#"{"host":"a.org","private":true}"#)];
        let mut all = SessionRoutes::default();
        all.add(added(r#"{"host":"a.org","methods":["POST"]}"#, &[]));
        all.add(added(r#"{"host":"b.org"}"#, &[]));
        let (amended, left_out) = plan.with_session_routes(&all);
        assert_eq!((amended.policy.routes.len(), left_out.len()), (2, 1));
        assert!(left_out[0].why.starts_with("`private` differs"), "{left_out:?}");
    }

    #[test]
    fn they_read_as_they_were_written() {
        let mut all = SessionRoutes::default();
        let before = Position::Before("m:7".to_owned());
        let one = Addition { route: route(r#"{"host":"a.org"}"#), position: before };
        let change = Change::Egress { host: "a.org".into(), port: 443, method: "GET".into(), path: "/x".into() };
        all.add(SessionRoute::new(Some(&change), one, BTreeMap::new()));
        let text = serde_json::to_string(&all).unwrap();
        assert!(text.contains(r#""position":{"before":"m:7"}"#), "{text}");
        assert_eq!(serde_json::from_str::<SessionRoutes>(&text).unwrap(), all);
        let same = all.routes[0].clone();
        all.add(same);
        assert_eq!(all.routes.len(), 1);
    }
}
