//! The guard of one session: mark, prepare, run, settle. Keeping is the default, deletion is earned.
//!
//! One way down: the end of a session, `cleanup` and the rescue of a lost one run the same [`Session::settle`] from the
//! recorded plan. Whatever unwinds through here still settles.

pub mod audit;
mod fill;
mod refresh;
mod snapshot;

use crate::docker::{self, Call, Docker, Stream};
use crate::exit::{EngineError, Exit};
use crate::facts::Terminal;
use crate::plan::{Fate, Plan, Step, What};
use crate::render;
use crate::say;
use crate::spec::Beginning;
use crate::state::{Folder, Home, Kept, Mark, Saved};
use crate::text;
use wire::{Event, Values, Work};

use crate::workspace::Survey;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::io::Write;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use sys::lock::Lock;
use sys::signals::{self, Signals};
use sys::{timings, tty};

pub struct Session<'a> {
    docker: &'a Docker,
    folder: Folder,
    plan: Plan,
    before: Before,
    gate: Option<Held>,
    created: Vec<What>,
    /// What is to be copied into the workspace.
    survey: Option<Survey>,
    refresh: refresh::Refresh,
    phase: Phase,
    _lock: Lock,
}

/// What was there before this start.
enum Before {
    Nothing,
    Kept(Saved),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The agent's program never ran: leaving means leaving nothing.
    Preparing,
    Running,
    Settled,
}

/// The gate's client, and what is heard from it and from elsewhere.
struct Held {
    /// Until its last words were asked for.
    stream: Option<Stream>,
    /// It has taken its document and serves.
    ready: bool,
    /// What init found at the end.
    work: Option<Work>,
    events: Sender<Happened>,
    arrived: Receiver<Happened>,
}

/// What the main thread waits for.
enum Happened {
    Ready,
    Failed(String),
    Work(Work),
    /// A token is to be fetched anew.
    Refresh,
    GateEnded,
    AgentEnded,
    /// One that asks for an end.
    Signal(i32),
    /// The shell wants the terminal.
    Stop,
    Continue,
}

/// Passes signals on, as long as anybody wants them.
fn pass_on(signals: &Signals, events: &Sender<Happened>) {
    loop {
        let happened = match signals.recv() {
            signals::SIGTSTP => Happened::Stop,
            signals::SIGCONT => Happened::Continue,
            number => Happened::Signal(number),
        };
        if events.send(happened).is_err() {
            return;
        }
    }
}

/// The shell gets the terminal, as it was, and we stop, the client with us: it would read what is typed there.
fn suspend(restore: Option<&tty::TerminalGuard>, client: u32) {
    if let Some(restore) = restore {
        restore.suspend();
    }
    sys::child::send_signal(client, signals::SIGSTOP);
    sys::child::stop_self();
    // Here again.
    sys::child::send_signal(client, signals::SIGCONT);
}

impl Held {
    /// The comparison of the work, which was on its way before the agent's container ended. Older ones are not kept waiting
    /// for: their gate says nothing.
    fn await_work(&mut self) {
        while self.work.is_none() {
            match self.arrived.recv_timeout(Duration::from_secs(2)) {
                Ok(Happened::Work(work)) => self.work = Some(work),
                Ok(Happened::GateEnded) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    /// What the client of a gate that gave no reason said last.
    fn last_words(&mut self) -> String {
        let (status, words) = self.stream.take().map(Stream::end).unwrap_or_default();
        match words.lines().last().filter(|line| !line.is_empty()) {
            Some(line) => line.to_owned(),
            None => status.map_or_else(|| "it ended".to_owned(), |status| format!("it ended ({status})")),
        }
    }
}

/// The agent is told to end, and told again until its client comes back: a call that reaches the engine before the
/// container runs changes nothing.
struct Ending {
    args: Vec<String>,
    call: Option<Call>,
    left: u32,
}

impl Ending {
    const AGAIN: Duration = Duration::from_millis(250);

    fn begin(docker: &Docker, args: Vec<String>) -> Ending {
        let call = docker.start(&args).ok();
        Ending { args, call, left: 60 }
    }

    /// False once there is no more hope.
    fn insist(&mut self, docker: &Docker) -> bool {
        self.left = self.left.saturating_sub(1);
        if self.call.as_mut().is_none_or(Call::ended) {
            self.call = docker.start(&self.args).ok();
        }
        self.left > 0
    }
}

/// Why the session ended, as far as this process knows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cause {
    /// The client came back by itself.
    Ended,
    Signal(i32),
    GateDied(String),
    /// The terminal was closed, and the session outlives it.
    HungUp,
    /// Its owner died; another process settles it.
    Lost,
}

/// What became of a session, for the last message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Gone,
    Kept(Kept),
    Detached,
}

/// `docker inspect`'s `.State`, the part that decides.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    #[serde(default)]
    running: bool,
    #[serde(default)]
    exit_code: i64,
    #[serde(default, rename = "OOMKilled")]
    oom_killed: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    status: String,
}

impl State {
    fn gone() -> State {
        State { status: "gone".to_owned(), ..State::default() }
    }
}

impl<'a> Session<'a> {
    /// A new session: its folder, lock, mark and plan are on disk before the first engine call.
    pub fn claim(docker: &'a Docker, home: &Home, plan: Plan) -> Result<Session<'a>> {
        let folder = home.claim(&plan.identity)?;
        let lock = folder.lock()?.context("a new session's lock is held")?;
        folder.set_mark(&Mark::Live)?;
        folder.set_plan(&plan)?;
        Ok(Session::new(docker, folder, plan, lock))
    }

    /// A kept session that goes on by a new plan: the caller holds its lock. All is as it was if nothing comes of it.
    pub fn reopen(docker: &'a Docker, folder: Folder, plan: Plan, lock: Lock) -> Result<Session<'a>> {
        let saved = folder.save()?;
        folder.set_mark(&Mark::Live)?;
        folder.set_plan(&plan)?;
        let mut session = Session::new(docker, folder, plan, lock);
        session.before = Before::Kept(saved);
        Ok(session)
    }

    /// Settles a session whose owner died; what still runs of it is ended first.
    pub fn rescue(docker: &'a Docker, folder: Folder, plan: Plan, lock: Lock) -> Result<Outcome> {
        docker.brief(&plan.stop().args).or_else(docker::gone)?;
        // Its owner died before anything was made: there is nothing to keep.
        let nothing = folder.is_bare() && !docker.has_volume(&plan.volume())?;
        let mut session = Session::found(docker, folder, plan, lock);
        let (outcome, _) = session.settle(&Cause::Lost, None)?;
        if nothing {
            session.folder.clear()?;
            return Ok(Outcome::Gone);
        }
        Ok(outcome)
    }

    /// A session whose containers are there: to be attached again.
    pub fn found(docker: &'a Docker, folder: Folder, plan: Plan, lock: Lock) -> Session<'a> {
        let mut session = Session::new(docker, folder, plan, lock);
        session.phase = Phase::Running;
        session
    }

    fn new(docker: &'a Docker, folder: Folder, plan: Plan, lock: Lock) -> Session<'a> {
        let (before, phase) = (Before::Nothing, Phase::Preparing);
        let (refresh, created) = (refresh::Refresh::default(), Vec::new());
        Session { docker, folder, plan, before, gate: None, created, survey: None, refresh, phase, _lock: lock }
    }

    /// With this for its workspace.
    pub fn carrying(mut self, survey: Option<Survey>) -> Session<'a> {
        self.survey = survey;
        self
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Makes both containers and starts the gate, without any secret: while the person reads the plan.
    ///
    /// A signal that comes while the home is filled ends that, and is left for whoever looks next.
    pub fn prepare(&mut self, signals: &Signals) -> Result<()> {
        timings::phase("prepare");
        for step in self.plan.up() {
            match step.what {
                What::StartGate => self.follow_gate(self.docker.hold(&step.args)?),
                What::Fill => fill::fill(self.docker, &step.args, self.content()?, signals)?,
                What::StartAgent => {}
                _ => self.create(&step)?,
            }
        }
        Ok(())
    }

    /// What the home is filled with.
    fn content(&self) -> Result<fill::Content<'_>> {
        match self.plan.spec.beginning {
            Beginning::Transcript => Ok(fill::Content::Transcript(self.folder.transcript())),
            _ => Ok(fill::Content::Workspace(self.survey.as_ref().context("what is to be copied was not looked at")?)),
        }
    }

    fn create(&mut self, step: &Step) -> Result<()> {
        let made = self.docker.brief(&step.args);
        // A lost answer is no proof that nothing was made; what has the name already is not ours.
        if made.as_ref().err().is_none_or(|error| !docker::is_taken(error)) {
            self.created.push(step.what);
        }
        made.map(drop).map_err(Into::into)
    }

    /// Reads the gate's lines: into the audit trail, and the two that matter here to the main thread.
    fn follow_gate(&mut self, mut stream: Stream) {
        let (events, arrived) = channel();
        let stdout = stream.child.stdout.take();
        let (tell, audit) = (events.clone(), self.folder.audit());
        std::thread::spawn(move || {
            if let Some(stdout) = stdout {
                audit::follow(stdout, &audit, |event| {
                    let _ = match event {
                        Event::Ready { .. } => tell.send(Happened::Ready),
                        Event::Failed { reason } => tell.send(Happened::Failed(reason)),
                        Event::Work(work) => tell.send(Happened::Work(work)),
                        Event::Refresh { .. } => tell.send(Happened::Refresh),
                        _ => Ok(()),
                    };
                });
            }
            let _ = tell.send(Happened::GateEnded);
        });
        self.gate = Some(Held { stream: Some(stream), ready: false, work: None, events, arrived });
    }

    /// Hands the gate its document, runs the agent in this terminal until it ends, and settles.
    pub fn run(mut self, values: Values, signals: Signals) -> Result<Exit> {
        self.feed(values)?;
        self.phase = Phase::Running;
        let (cause, status) = self.watch(&self.plan.start_agent(), signals)?;
        if let Cause::GateDied(why) = &cause
            && !self.gate.as_ref().is_some_and(|held| held.ready)
        {
            self.phase = Phase::Preparing;
            return Err(EngineError::new(format!("the gate did not come up: {why}")).into());
        }
        self.end(&cause, status)
    }

    /// Attaches this terminal to a running agent, and settles when it ends.
    pub fn attach(mut self, signals: Signals) -> Result<Exit> {
        self.folder.set_mark(&Mark::Live)?;
        self.follow_gate(self.docker.stream(&self.plan.follow_gate())?);
        if let Some(held) = &mut self.gate {
            held.ready = true;
        }
        // What has ended while nobody was there.
        self.refresh.want();
        let (cause, status) = self.watch(&self.plan.attach(), signals)?;
        self.end(&cause, status)
    }

    /// Writes the document from a thread: the pipe is smaller than the host's bundle of roots.
    fn feed(&mut self, values: Values) -> Result<()> {
        let held = self.gate.as_mut().context("the gate was not started")?;
        let stream = held.stream.as_mut().context("the gate was not started")?;
        let mut stdin = stream.child.stdin.take().context("the gate's stdin is gone")?;
        let text = serde_json::to_vec(&self.plan.document(values))?;
        // A gate that ended already tells why on its own; a broken pipe here adds nothing.
        std::thread::spawn(move || drop(stdin.write_all(&text)));
        Ok(())
    }

    /// Runs the terminal's child until it ends; signals and the gate's death make it end.
    fn watch(&mut self, step: &Step, signals: Signals) -> Result<(Cause, Option<ExitStatus>)> {
        // Back before anything is said: words on a full-screen program's screen would go with it.
        let hush;
        let restore = tty::save();
        let (_stops, _listening) = (signals::catch_stop_signals(), signals::PromptReader::begin());
        let held = self.gate.as_ref().context("the gate was not started")?;
        let mut client = self.docker.attach(&step.args)?;
        timings::phase("run");
        hush = (self.plan.terminal == Terminal::Tty).then(say::hold_messages);
        let (events, pid) = (held.events.clone(), client.id());
        std::thread::spawn(move || {
            sys::child::await_end(pid);
            let _ = events.send(Happened::AgentEnded);
        });
        let events = held.events.clone();
        std::thread::spawn(move || pass_on(&signals, &events));

        let (mut cause, mut ending): (Cause, Option<Ending>) = (Cause::Ended, None);
        let mut asked_again = false;
        loop {
            let held = self.gate.as_mut().context("the gate was not started")?;
            let happened = match &mut ending {
                None => match self.refresh.pause() {
                    None => held.arrived.recv()?,
                    Some(pause) => match held.arrived.recv_timeout(pause) {
                        Ok(happened) => happened,
                        Err(_) => {
                            self.refresh.go_on(self.docker, &self.plan);
                            continue;
                        }
                    },
                },
                Some(ending) => match held.arrived.recv_timeout(Ending::AGAIN) {
                    Ok(happened) => happened,
                    Err(_) if ending.insist(self.docker) => continue,
                    Err(_) => {
                        let _ = client.kill();
                        held.arrived.recv()?
                    }
                },
            };
            match happened {
                Happened::Ready => held.ready = true,
                Happened::Work(work) => held.work = Some(work),
                Happened::Refresh => self.refresh.want(),
                Happened::AgentEnded => return Ok((cause, client.wait().ok())),
                Happened::Stop => suspend(restore.as_ref(), pid),
                Happened::Continue => self.draw_again(restore.as_ref(), pid),
                Happened::Signal(number) if cause == Cause::Ended => {
                    cause = self.cause(number);
                    match cause {
                        // It would only wait for the terminal that is gone.
                        Cause::HungUp => drop(client.kill()),
                        _ => ending = Some(Ending::begin(self.docker, self.plan.stop().args)),
                    }
                }
                // Who asks a second time does not wait for the three seconds; who asks a third time, for nothing.
                Happened::Signal(number) => {
                    if asked_again {
                        // It would hold the terminal, or the pipes, for ever.
                        let _ = client.kill();
                        drop(restore);
                        drop(hush);
                        let identity = &self.plan.identity;
                        say::line(&format!("left `{identity}` as it is: it is lost until it is settled"));
                        say::hint(&format!("claude-bottle resume {identity}"));
                        signals::exit_now(number);
                    }
                    asked_again = true;
                    ending = Some(Ending::begin(self.docker, self.plan.kill().args));
                }
                Happened::Failed(_) | Happened::GateEnded if cause != Cause::Ended => {}
                died @ (Happened::Failed(_) | Happened::GateEnded) => {
                    // The agent's own end takes the gate along on no path, but both may come at once.
                    if let Ok(Happened::AgentEnded) = held.arrived.recv_timeout(Duration::ZERO) {
                        return Ok((Cause::Ended, client.wait().ok()));
                    }
                    let end = if held.ready { self.plan.stop() } else { self.plan.kill() };
                    cause = Cause::GateDied(match died {
                        Happened::Failed(why) => why,
                        _ => held.last_words(),
                    });
                    ending = Some(Ending::begin(self.docker, end.args));
                }
            }
        }
    }

    /// What this signal makes of the session.
    fn cause(&self, number: i32) -> Cause {
        match number {
            signals::SIGHUP if self.plan.outlives_its_terminal() => Cause::HungUp,
            number => Cause::Signal(number),
        }
    }

    /// This process goes on, on a terminal that others used meanwhile.
    fn draw_again(&self, restore: Option<&tty::TerminalGuard>, client: u32) {
        let Some(restore) = restore.filter(|_| self.plan.terminal == Terminal::Tty) else { return };
        restore.resume();
        sys::child::send_signal(client, signals::SIGCONT);
        // The terminal may have another size now; where it has the same, the program inside would draw nothing.
        sys::child::send_signal(client, signals::SIGWINCH);
        let _ = self.docker.brief(&self.plan.redraw());
    }

    fn end(mut self, cause: &Cause, status: Option<ExitStatus>) -> Result<Exit> {
        timings::phase("end");
        self.refresh.end(&self.plan);
        let (outcome, exit) = self.settle(cause, status)?;
        self.tell(&outcome);
        Ok(exit)
    }

    /// The one way down: asks how it ended, brings transcript and audit home, removes what need not stay, marks.
    fn settle(&mut self, cause: &Cause, status: Option<ExitStatus>) -> Result<(Outcome, Exit)> {
        self.phase = Phase::Settled;
        let [inspect, copy, rm_gate, rm_agent, rm_volume] = &self.plan.down(Fate::Drop)[..] else {
            anyhow::bail!("a plan without an end")
        };
        let asked = self.docker.start(&inspect.args);
        let mut copying = snapshot::start(self.docker, &copy.args, &self.folder);
        let state = asked.and_then(Call::finish).and_then(|text| {
            serde_json::from_str::<State>(&text)
                .map_err(|e| EngineError::new(format!("`inspect` is not understood: {e}")))
        });
        let state = match state {
            Ok(state) => state,
            Err(error) if docker::is_gone(&error) => State::gone(),
            Err(error) => {
                let _ = copying.map(snapshot::Copying::finish);
                return self.keep_unasked(cause, &error);
            }
        };
        let cause = &self.late_signal(cause).map_or_else(|| cause.clone(), |number| self.cause(number));
        let let_go = match cause {
            Cause::Ended => status.is_none_or(|status| status.success()),
            Cause::HungUp => true,
            _ => false,
        };
        if state.running {
            let _ = copying.and_then(snapshot::Copying::finish);
            if let_go {
                self.folder.set_mark(&Mark::Detached)?;
                return Ok((Outcome::Detached, Exit::OK));
            }
            // It was to end, and nobody told it yet: what it writes last is in the copy, too.
            let _ = self.docker.brief(&self.plan.stop().args);
            copying = snapshot::start(self.docker, &copy.args, &self.folder);
        }
        let (why, exit) = verdict(&state, cause);
        let work = match &mut self.gate {
            Some(held) => {
                if why.is_none() {
                    held.await_work();
                }
                held.work.take()
            }
            None => audit::catch_up(self.docker, &self.plan, &self.folder),
        };
        let why = why.or_else(|| left_alone(work.as_ref()));
        // The gate goes while the transcript still comes; the agent, once that is here.
        let gate = self.docker.start(&rm_gate.args);
        let copied = copying.and_then(snapshot::Copying::finish);
        let agent = copied.is_ok().then(|| self.docker.start(&rm_agent.args));
        let removed = [Some(gate), agent].into_iter().flatten().map(|call| call.and_then(Call::finish));
        let mut failed = removed.filter_map(|done| done.err()).last();
        let why = match copied {
            Err(error) => Some(format!("the transcript could not be copied: {error:#}")),
            Ok(()) => why,
        };
        if why.is_none() && failed.is_none() {
            failed = self.docker.brief(&rm_volume.args).err();
        }
        match why.or(failed.map(|error| format!("not everything could be removed: {error}"))) {
            Some(why) => {
                self.await_last_lines();
                let kept = Kept { work: work.filter(|work| work.complete), ..Kept::new(why) };
                self.folder.set_mark(&Mark::Kept(kept.clone()))?;
                Ok((Outcome::Kept(kept), exit))
            }
            None => {
                self.folder.clear()?;
                Ok((Outcome::Gone, exit))
            }
        }
    }

    /// A signal that reached this process and the client together, and whose client came back first: a client without a
    /// terminal passes it on and ends with 0, as if it had been detached.
    fn late_signal(&mut self, cause: &Cause) -> Option<i32> {
        let held = self.gate.as_mut().filter(|_| *cause == Cause::Ended)?;
        for happened in held.arrived.try_iter() {
            match happened {
                Happened::Signal(number) => return Some(number),
                Happened::Work(work) => held.work = Some(work),
                _ => {}
            }
        }
        None
    }

    /// The gate is gone; its last lines may still be on their way to the audit trail.
    fn await_last_lines(&self) {
        let Some(held) = &self.gate else { return };
        while let Ok(event) = held.arrived.recv_timeout(Duration::from_secs(1)) {
            if matches!(event, Happened::GateEnded) {
                return;
            }
        }
    }

    /// The engine does not answer: volume and stopped container stay where they are, the only copy.
    fn keep_unasked(&self, cause: &Cause, error: &EngineError) -> Result<(Outcome, Exit)> {
        let why = format!("the engine could not be asked: {error}");
        let kept = Kept { unsettled: true, ..Kept::new(why) };
        self.folder.set_mark(&Mark::Kept(kept.clone()))?;
        let exit = match cause {
            Cause::Signal(number) => Exit::signal(*number),
            _ => Exit::ENGINE,
        };
        Ok((Outcome::Kept(kept), exit))
    }

    /// The last message of a session that is not simply gone.
    fn tell(&self, outcome: &Outcome) {
        let identity = &self.plan.identity;
        match outcome {
            Outcome::Gone => {}
            Outcome::Kept(kept) => {
                say::line(&format!("kept `{identity}`: {}", text::visible(&kept.why)));
                if kept.work.as_ref().is_some_and(|work| !work.is_none()) {
                    say::hint(&format!("claude-bottle work diff {identity}"));
                }
                say::hint(&format!("claude-bottle resume {identity}"));
            }
            Outcome::Detached => {
                say::note(&format!("detached from `{identity}`, which runs on"));
                say::suggest(&format!("claude-bottle attach {identity}"));
            }
        }
    }

    /// Takes back what was prepared; the agent's program never ran. A kept session is as it was before.
    pub fn abandon(mut self) -> Result<()> {
        timings::phase("take back");
        self.take_back()
    }

    fn take_back(&mut self) -> Result<()> {
        self.phase = Phase::Settled;
        let mut failed = None;
        let new = matches!(self.before, Before::Nothing) || self.plan.spec.beginning == Beginning::Transcript;
        let created = |what| self.created.contains(&what);
        for step in self.plan.down(Fate::Drop) {
            let made = match step.what {
                What::RemoveGate => created(What::CreateGate),
                What::RemoveAgent => created(What::CreateAgent),
                // The agent's making makes it, too.
                What::RemoveVolume => new && (created(What::CreateVolume) || created(What::CreateAgent)),
                _ => false,
            };
            if made && let Err(error) = self.docker.brief(&step.args).or_else(docker::gone) {
                failed = Some(error);
            }
        }
        match (&self.before, failed) {
            (Before::Kept(saved), failed) => {
                self.folder.put_back(saved)?;
                failed.map_or(Ok(()), |error| Err(error.into()))
            }
            (Before::Nothing, None) => self.folder.remove(),
            (Before::Nothing, Some(error)) => {
                self.folder.set_mark(&Mark::Kept(Kept::new(format!("not everything could be removed: {error}"))))?;
                Err(error.into())
            }
        }
    }
}

impl Drop for Session<'_> {
    /// Reached unsettled only by an error or a panic on the way.
    fn drop(&mut self) {
        let done = match self.phase {
            Phase::Settled => return,
            Phase::Preparing => self.take_back(),
            Phase::Running => {
                let _ = self.docker.brief(&self.plan.stop().args);
                self.settle(&Cause::Lost, None).map(|(outcome, _)| self.tell(&outcome))
            }
        };
        if let Err(error) = done {
            say::error(&error);
        }
    }
}

/// Why it is kept (`None`: it earned its deletion), and the exit code.
fn verdict(state: &State, cause: &Cause) -> (Option<String>, Exit) {
    let code = Exit(u8::try_from(state.exit_code).unwrap_or(u8::MAX));
    match cause {
        Cause::Signal(number) => (Some(format!("ended by {}", signals::name(*number))), Exit::signal(*number)),
        Cause::GateDied(words) => (Some(format!("the gate died: {words}")), Exit::ENGINE),
        Cause::Lost => (Some("its owner died".to_owned()), Exit::ENGINE),
        // The terminal went, and the agent with it or before it: as if it had ended by itself.
        Cause::HungUp => verdict(state, &Cause::Ended),
        Cause::Ended if state.running => (Some("the engine's client failed".to_owned()), Exit::ENGINE),
        Cause::Ended if !state.error.is_empty() => (Some(format!("could not start: {}", state.error)), Exit::ENGINE),
        Cause::Ended if ["created", "initialized"].contains(&&*state.status) => {
            (Some("the agent did not start".to_owned()), Exit::ENGINE)
        }
        Cause::Ended if state.status == "gone" => (Some("the agent's container is gone".to_owned()), Exit::ENGINE),
        Cause::Ended if state.exit_code == 137 && state.oom_killed => (Some("out of memory (137)".to_owned()), code),
        Cause::Ended if state.exit_code == 137 => (Some("killed (137)".to_owned()), code),
        Cause::Ended if state.exit_code != 0 => (Some(format!("the agent ended with {}", state.exit_code)), code),
        Cause::Ended => (None, Exit::OK),
    }
}

/// Why a session that ended well is kept all the same.
fn left_alone(work: Option<&Work>) -> Option<String> {
    match work {
        Some(work) if work.is_none() => None,
        Some(work) if work.complete => Some(format!("work that is nowhere else: {}", render::work(work))),
        _ => Some("what is in it could not be compared".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inspect_decides() {
        let state = |json: &str| serde_json::from_str::<State>(json).unwrap();
        let ended = |json: &str| verdict(&state(json), &Cause::Ended);
        assert_eq!(ended(r#"{"Status":"exited","ExitCode":0,"OOMKilled":true}"#), (None, Exit::OK));
        assert_eq!(ended(r#"{"ExitCode":7}"#), (Some("the agent ended with 7".into()), Exit(7)));
        assert_eq!(ended(r#"{"ExitCode":137,"OOMKilled":true}"#), (Some("out of memory (137)".into()), Exit(137)));
        assert_eq!(ended(r#"{"ExitCode":137}"#), (Some("killed (137)".into()), Exit(137)));
        assert_eq!(ended(r#"{"ExitCode":127,"Error":"no such runtime"}"#).1, Exit::ENGINE);
        assert_eq!(verdict(&state("{}"), &Cause::Signal(15)), (Some("ended by SIGTERM".into()), Exit(143)));
        assert_eq!(verdict(&state("{}"), &Cause::GateDied("boom".into())).1, Exit::ENGINE);
    }
}
