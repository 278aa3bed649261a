//! What an approval would do to a session, before anything is done: the route, what it opens, what is risky about it.

use super::{Plan, SessionRoute, sources_of_route};
use crate::exit::UserError;
use crate::manifest::Route;
use policy::{Addition, Denial, Differences, PathPattern, Policy, Position, Request, Widening, diff, risks};
use std::collections::BTreeMap;
use wire::Change;

/// The name that stands for any in a path of several requests.
const ANY_NAME: &str = "1";

/// A change that is to be approved.
#[derive(Debug, Clone, Copy)]
pub struct ChangeRequest<'a> {
    pub change: &'a Change,
    /// The path of one request, where the change stands for several.
    pub example: Option<&'a str>,
}

impl ChangeRequest<'_> {
    /// Why this policy refuses the request; `None`: it passes.
    ///
    /// # Errors
    /// `UserError` where the change is not about a request.
    pub fn judged_by(self, policy: &Policy) -> Result<Option<Denial>, UserError> {
        Ok(policy.judge_typed(&Wanted::of(self)?.request()).err())
    }
}

/// An approval, as a value: shown, edited, widened, and done in the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    pub change: Change,
    /// `None`: the change is not one of egress.
    pub route: Option<SessionRoute>,
    /// What passes after it and did not before, or otherwise.
    pub differences: Differences,
    /// What the route makes possible that its line does not show.
    pub risks: Vec<String>,
    /// What else the operator should know.
    pub notes: Vec<String>,
    /// The next wider routes.
    pub wider: Vec<(Widening, Addition)>,
}

impl Approval {
    /// The least that answers to the change. `plan`: as the session has it now, with the routes that were added to it.
    ///
    /// # Errors
    /// `UserError` where nothing that can be approved would let it pass.
    pub fn least(plan: &Plan, asked: ChangeRequest) -> Result<Approval, UserError> {
        let Change::Egress { .. } = asked.change else { return Ok(Approval::without_route(asked.change)) };
        let wanted = Wanted::of(asked)?;
        let found = plan.policy.least(&wanted.request(), wanted.pattern.as_ref());
        let addition = found.map_err(|why| UserError::new(format!("no route is made of this: {why}")))?;
        Approval::with_route(plan, asked, SessionRoute::new(Some(asked.change), addition, BTreeMap::new()))
    }

    /// An approval by a route of the operator's own.
    ///
    /// # Errors
    /// `UserError` where the policy cannot have the route, and where the request that was refused is refused still.
    pub fn by(plan: &Plan, asked: ChangeRequest, route: &Route) -> Result<Approval, UserError> {
        let last = Addition { route: route.policy.clone(), position: Position::Last };
        let mut route = plan.session_route(Some(asked.change), last, sources_of_route(route).collect());
        // Where it passes nowhere, the last place says why.
        if let Ok(placed) = plan.policy.place(route.addition.route.clone(), &Wanted::of(asked)?.request()) {
            route.addition = placed;
        }
        Approval::with_route(plan, asked, route)
    }

    /// An approval that was begun and cut off: its route is with the session already, and lets the request pass.
    ///
    /// # Errors
    /// Those of [`Approval::least`], where the route does that no more.
    pub fn again(plan: &Plan, asked: ChangeRequest, route: &SessionRoute) -> Result<Approval, UserError> {
        if asked.judged_by(&plan.policy)?.is_some() {
            return Approval::least(plan, asked);
        }
        let notes = vec![format!("it was approved before, at {}", route.at)];
        Ok(Approval { route: Some(route.clone()), notes, ..Approval::without_route(asked.change) })
    }

    fn with_route(plan: &Plan, asked: ChangeRequest, route: SessionRoute) -> Result<Approval, UserError> {
        let after = added(&plan.policy, &route.addition)?;
        if let Some(denial) = asked.judged_by(&after)? {
            return Err(UserError::new(format!("with this route it is refused still: {}", denial.text)));
        }
        Ok(Approval {
            change: asked.change.clone(),
            differences: diff(&plan.policy, &after),
            risks: risks(&route.addition.route),
            notes: notes(plan, &route.addition),
            wider: route.addition.widened(),
            route: Some(route),
        })
    }

    /// This approval, a step wider.
    ///
    /// # Errors
    /// `UserError` where there is no such step.
    pub fn widened(&self, plan: &Plan, step: Widening, asked: ChangeRequest) -> Result<Approval, UserError> {
        let Some((_, addition)) = self.wider.iter().find(|(wider, _)| *wider == step) else {
            return Err(
                UserError::new("this route has no such wider form").hint("leave `--widen` out, or use `--edit`")
            );
        };
        let route = SessionRoute::new(Some(asked.change), addition.clone(), BTreeMap::new());
        Approval::with_route(plan, asked, route)
    }

    fn without_route(change: &Change) -> Approval {
        Approval {
            change: change.clone(),
            route: None,
            differences: Differences::default(),
            risks: Vec::new(),
            notes: Vec::new(),
            wider: Vec::new(),
        }
    }
}

/// The policy with this route.
///
/// # Errors
/// `UserError` where the two contradict each other.
fn added(policy: &Policy, addition: &Addition) -> Result<Policy, UserError> {
    policy.with(addition).map_err(|why| UserError::new(why).hint("write the route by hand: `--edit`"))
}

fn notes(plan: &Plan, addition: &Addition) -> Vec<String> {
    let mut notes = Vec::new();
    if let Position::Before(origin) = &addition.position {
        notes.push(format!("it passes a route that denies: {origin}"));
    }
    let port = addition.route.port;
    if !plan.listens_on(port) {
        notes.push(format!("programs inside reach port {port} only after the next `resume`"));
    }
    notes
}

/// A request that was refused, as far as the change tells.
struct Wanted<'a> {
    host: &'a str,
    port: u16,
    method: &'a str,
    path: String,
    /// All paths that are meant; `None`: this one.
    pattern: Option<PathPattern>,
}

impl<'a> Wanted<'a> {
    fn of(asked: ChangeRequest<'a>) -> Result<Wanted<'a>, UserError> {
        let Change::Egress { host, port, method, path } = asked.change else {
            return Err(UserError::new("this change is not about a route"));
        };
        // No agent makes a pattern: the trail folds refusals into one, and takes no proposal that is one.
        let pattern = path.contains('*').then(|| PathPattern::try_from(path.clone())).transpose();
        let pattern = pattern.map_err(UserError::new)?;
        let names = |path: &str| {
            let names = path.split('/').map(|segment| if segment == "*" { ANY_NAME } else { segment });
            names.collect::<Vec<_>>().join("/")
        };
        let path = match (&pattern, asked.example) {
            (None, _) => path.clone(),
            (Some(pattern), Some(example)) if pattern.matches(example) => example.to_owned(),
            (Some(_), _) => names(path),
        };
        Ok(Wanted { host, port: *port, method, path, pattern })
    }

    fn request(&self) -> Request<'_> {
        Request::recorded(self.host, self.port, self.method, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let mut plan: Plan = serde_json::from_str(include_str!("../../tests/fixtures/plans/1-first.json")).unwrap();
        plan.policy = Policy::default();
        plan
    }

    fn egress(method: &str, path: &str) -> Change {
        Change::Egress { host: "a.org".into(), port: 443, method: method.into(), path: path.into() }
    }

    fn asked<'a>(change: &'a Change, example: Option<&'a str>) -> ChangeRequest<'a> {
        ChangeRequest { change, example }
    }

    fn lines(approval: &Approval) -> Vec<String> {
        approval.differences.lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_request_is_opened_and_no_more() {
        let approval = Approval::least(&plan(), asked(&egress("POST", "/x"), None)).unwrap();
        assert_eq!(lines(&approval), ["+ POST https://a.org/x"]);
        let route = approval.route.as_ref().unwrap();
        assert_eq!(route.id, approval.change.id());
        assert_eq!(route.addition.route.origin, format!("approved:{}", route.id));
        let wider = approval.widened(&plan(), Widening::Tree, asked(&approval.change, None)).unwrap();
        assert_eq!(lines(&wider), ["+ POST https://a.org/**"]);
        assert!(!wider.risks.is_empty());
        assert!(approval.widened(&plan(), Widening::Host, asked(&approval.change, None)).is_err());
    }

    #[test]
    fn a_shape_is_approved_by_an_example() {
        let change = egress("GET", "/users/*/repos");
        for example in [Some("/users/17/repos"), Some("/of/another/shape"), None] {
            let approval = Approval::least(&plan(), asked(&change, example)).unwrap();
            assert_eq!(lines(&approval), ["+ GET https://a.org/users/*/repos"]);
        }
    }

    #[test]
    fn a_fetch_is_approved_for_the_one_repository() {
        for change in [egress("GET", "/t/app.git/info/refs"), egress("POST", "/t/app.git/git-upload-pack")] {
            let approval = Approval::least(&plan(), asked(&change, None)).unwrap();
            let opened = lines(&approval);
            assert!(opened.contains(&"+ POST https://a.org/t/app.git/git-upload-pack".to_owned()), "{opened:?}");
            assert!(opened.iter().all(|line| line.contains("https://a.org/t/app.git")), "{opened:?}");
        }
    }

    #[test]
    fn a_route_of_the_operators_lets_the_request_pass_or_is_refused() {
        let change = egress("GET", "/x");
        let route = |path: &str| {
            let text = format!(r#"{{"host":"a.org","paths":["{path}"]}}"#);
            crate::manifest::read_route(std::path::Path::new("/m.json"), &text).unwrap()
        };
        assert!(Approval::by(&plan(), asked(&change, None), &route("/x")).is_ok());
        let why = Approval::by(&plan(), asked(&change, None), &route("/y")).unwrap_err();
        assert_eq!(why.what, "with this route it is refused still: path `/x` of `a.org` is not on the allowlist");
    }

    #[test]
    fn a_port_that_nothing_listens_on_is_told() {
        let change = Change::Egress { host: "a.org".into(), port: 8443, method: "GET".into(), path: "/".into() };
        let approval = Approval::least(&plan(), asked(&change, None)).unwrap();
        assert_eq!(approval.notes, ["programs inside reach port 8443 only after the next `resume`"]);
    }
}
