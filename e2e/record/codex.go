package main

import (
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// codexMCP adds the MCP servers of mcpFiles.
func codexMCP() []string {
	return []string{
		"-c", `mcp_servers.mock={command="python3",args=["/workspace/mcp.py"],default_tools_approval_mode="approve"}`,
		"-c", `mcp_servers.gone={command="/nonexistent"}`,
	}
}

func codexScenarios() []scenario {
	all := []scenario{
		{name: "tools", turns: []modelapi.Turn{
			modelapi.Text("I will look.").With(modelapi.Shell("echo hello")),
			modelapi.Shell("echo oops >&2; exit 3"),
			modelapi.WriteFile("notes.txt", "one\ntwo\n"),
			modelapi.Tool("apply_patch", "*** Begin Patch\n*** Update File: notes.txt\n*** Move to: moved.txt\n@@\n one\n-two\n+2\n+3\n*** End Patch"),
			modelapi.Tool("apply_patch", "*** Begin Patch\n*** Update File: absent.txt\n@@\n-x\n+y\n*** End Patch"),
			modelapi.Tool("apply_patch", "*** Begin Patch\n*** Delete File: moved.txt\n*** End Patch"),
			modelapi.Tool("no_such_tool", input{"x": 1}),
			modelapi.Text("All done.\n\nNothing is left."),
		}},
		{name: "thinking", turns: []modelapi.Turn{{Thinking: "**Let me think.**", Text: "I thought."}}},
		{name: "plan", args: []string{"-c", "tools.update_plan={enabled=true}"}, turns: codexPlan()},
		{name: "subagent", args: []string{"--enable", "multi_agent_v2"}, turns: []modelapi.Turn{
			modelapi.Tool("spawn_agent", input{"message": "[[sub]] look", "task_name": "look"}),
			modelapi.Tool("wait_agent", input{"timeout_ms": 10000}),
			modelapi.Text("the subagent is done"),
		}, marked: map[string][]modelapi.Turn{"sub": {
			modelapi.Text("I look.").With(modelapi.Shell("echo from the subagent")), modelapi.Text("it is fine"),
		}}},
		{name: "mcp", files: mcpFiles(), args: codexMCP(), turns: []modelapi.Turn{
			modelapi.Tool("mcp__mock/echo", input{"text": "hello"}),
			modelapi.Tool("mcp__mock/picture", input{}),
			modelapi.Tool("mcp__mock/fail", input{}),
			modelapi.Tool("list_mcp_resources", input{}),
			modelapi.Text("called"),
		}},
		{name: "web-search", turns: []modelapi.Turn{{Search: "ratchets", Text: "A ratchet turns one way."}}},
		{name: "image", files: map[string]string{"dot.png": dotPNG}, turns: []modelapi.Turn{
			modelapi.Tool("view_image", input{"path": "/workspace/dot.png"}),
			modelapi.Text("a dot"),
		}},
		{name: "compact-auto", args: []string{"-c", "model_auto_compact_token_limit=20000"}, turns: []modelapi.Turn{
			{Calls: []modelapi.Call{{Shell: "echo big"}}, Usage: modelapi.Usage{Input: 190000, Output: 50}},
			modelapi.Text("a summary"), modelapi.Text("after").Repeat(-1),
		}},
		{name: "retries", turns: []modelapi.Turn{modelapi.HTTPError(500).Repeat(2), modelapi.Text("at last")}},
		{name: "refused", turns: []modelapi.Turn{modelapi.HTTPError(400)}},
		{name: "goal", turns: []modelapi.Turn{
			modelapi.Tool("create_goal", input{"objective": "count to three"}), modelapi.Text("one, two"),
			modelapi.Tool("update_goal", input{"status": "complete"}), modelapi.Text("three").Repeat(-1),
		}},
		{name: "limit", turns: []modelapi.Turn{modelapi.UsageLimit(time.Unix(1795355520, 0)).Repeat(-1)}},
		{name: "question", args: []string{"--enable", "default_mode_request_user_input"}, turns: []modelapi.Turn{modelapi.Ask("Which colour?", "red", "blue"), modelapi.Text("chosen")}},
		{name: "interrupt", turns: []modelapi.Turn{modelapi.Shell("sleep 30"), modelapi.Text("again")}, steps: []step{stop(event.TypeToolStarted), say("go on")}},
		{name: "interrupt-text", turns: []modelapi.Turn{modelapi.Hang(20 * time.Second), modelapi.Text("again")}, steps: []step{stop(event.TypeMessageDelta), say("go on")}},
		{name: "steer", turns: []modelapi.Turn{modelapi.Shell("sleep 1"), modelapi.Text("steered")}, steps: []step{during(event.TypeToolStarted, "and this")}},
		{name: "cut", turns: []modelapi.Turn{modelapi.Cut(), modelapi.Text("whole")}},
		{name: "background", turns: []modelapi.Turn{
			modelapi.Tool("exec_command", input{"cmd": "echo early; sleep 2; echo late", "yield_time_ms": 300}),
			modelapi.Text("it runs"), modelapi.Text("still there"),
		}, steps: []step{say("go on")}},
	}
	for i := range all {
		all[i].stream = codexStream
	}
	return all
}

func codexPlan() []modelapi.Turn {
	plan := func(read, write string) modelapi.Turn {
		return modelapi.Tool("update_plan", input{"explanation": "in two steps", "plan": []input{
			{"step": "read", "status": read}, {"step": "write", "status": write},
		}})
	}
	return []modelapi.Turn{plan("in_progress", "pending"), plan("completed", "in_progress"), plan("completed", "completed"), modelapi.Text("planned")}
}

// codexExecScenarios are what CI users run themselves.
func codexExecScenarios() []scenario {
	all := []scenario{
		{name: "tools", turns: []modelapi.Turn{
			modelapi.Text("I will look.").With(modelapi.Shell("echo hello")),
			modelapi.Shell("echo oops >&2; exit 3"),
			modelapi.WriteFile("notes.txt", "one\ntwo\n"),
			modelapi.Tool("apply_patch", "*** Begin Patch\n*** Update File: absent.txt\n@@\n-x\n+y\n*** End Patch"),
			modelapi.Text("done"),
		}},
		{name: "thinking", turns: []modelapi.Turn{{Thinking: "**Let me think.**", Text: "I thought."}}},
		{name: "plan", args: []string{"-c", "tools.update_plan={enabled=true}"}, turns: codexPlan()},
		{name: "subagent", args: []string{"--enable", "multi_agent_v2"}, turns: []modelapi.Turn{
			modelapi.Tool("spawn_agent", input{"message": "[[sub]] look", "task_name": "look"}),
			modelapi.Tool("wait_agent", input{"timeout_ms": 10000}),
			modelapi.Text("the subagent is done"),
		}, marked: map[string][]modelapi.Turn{"sub": {modelapi.Shell("echo from the subagent"), modelapi.Text("it is fine")}}},
		{name: "mcp", files: mcpFiles(), args: codexMCP(), turns: []modelapi.Turn{
			modelapi.Tool("mcp__mock/echo", input{"text": "hello"}),
			modelapi.Tool("mcp__mock/fail", input{}),
			modelapi.Text("called"),
		}},
		{name: "web-search", turns: []modelapi.Turn{{Search: "ratchets", Text: "A ratchet turns one way."}}},
		{name: "retries", turns: []modelapi.Turn{modelapi.HTTPError(500).Repeat(2), modelapi.Text("at last")}},
		{name: "refused", turns: []modelapi.Turn{modelapi.HTTPError(400)}},
		{name: "limit", turns: []modelapi.Turn{modelapi.UsageLimit(time.Unix(1795355520, 0)).Repeat(-1)}},
		{name: "unauthorized", turns: []modelapi.Turn{modelapi.HTTPError(401).Repeat(-1)}},
	}
	for i := range all {
		all[i].stream = codexExec
	}
	return all
}
