//! The tools as the Model Context Protocol has them. The protocol itself (versions, messages, streams) is rmcp's.

use crate::supervise::tools::{self, AgentTools};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ProtocolVersion, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// Time between two signs of life in an answer that waits for the operator: less than any client's or proxy's patience.
pub const ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// How long a call waits for the operator.
const MAX_WAIT: Duration = Duration::from_secs(10 * 60);
/// How long it waits where the head of the answer is sent with the first message only: a client waits less for a head.
const MAX_HEADLESS_WAIT: Duration = Duration::from_secs(60);

const INSTRUCTIONS: &str = "This bottle's network is an allowlist, and its operator can change it. Where a request, a \
    package or a push is refused and the task needs it, ask for it by one of these tools, with the reason: the call waits \
    for the operator's answer. Ask for no more than what was refused, and go on without it if it is rejected.";

#[derive(Clone)]
pub struct Mcp(pub Arc<AgentTools>);

impl ServerHandler for Mcp {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("claude-bottle", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::list().into_iter().map(tool).collect()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::list().into_iter().find(|described| described.name == name).map(tool)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let waits = wait_time(&context);
        let gone = context.ct.clone();
        let answer = tokio::select! {
            answer = self.0.call(&request.name, arguments, waits) => answer,
            () = stay_alive(context) => Err("the call cannot be answered any more".to_owned()),
            () = gone.cancelled() => Err("the call was cancelled".to_owned()),
        };
        let content = |text| vec![ContentBlock::text(text)];
        Ok(answer
            .map_or_else(|why| CallToolResult::error(content(why)), |text| CallToolResult::success(content(text)))
            .into())
    }
}

fn tool(described: tools::Described) -> Tool {
    Tool::new(described.name, described.description, described.schema)
}

fn wait_time(context: &RequestContext<RoleServer>) -> Duration {
    let sends_head_late = context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
    match sends_head_late && context.meta.get_progress_token().is_none() {
        true => MAX_HEADLESS_WAIT,
        false => MAX_WAIT,
    }
}

/// Tells a client that asked for it that the call goes on. It never ends by itself where none asked, nor while the client
/// listens.
async fn stay_alive(context: RequestContext<RoleServer>) {
    let Some(token) = context.meta.get_progress_token() else { return std::future::pending().await };
    let mut ticks = interval(ALIVE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for count in 0_u32.. {
        ticks.tick().await;
        let progress = ProgressNotificationParam::new(token.clone(), count.into());
        if context.peer.notify_progress(progress.with_message("waiting for the operator")).await.is_err() {
            return;
        }
    }
}
