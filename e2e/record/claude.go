package main

import (
	"net/http"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// claudeModel makes recordings independent of the default model of a version.
const claudeModel = "claude-opus-4-8"

type input = map[string]any

func claudeScenarios() []scenario {
	all := []scenario{
		{name: "tools", turns: []modelapi.Turn{
			modelapi.Text("I will look.").With(modelapi.Shell("echo hello")),
			modelapi.Shell("echo oops >&2; exit 3"),
			modelapi.WriteFile("/workspace/notes.txt", "one\ntwo\n"),
			modelapi.Tool("Read", input{"file_path": "/workspace/notes.txt"}),
			modelapi.Tool("Edit", input{"file_path": "/workspace/notes.txt", "old_string": "two", "new_string": "2\n3"}),
			modelapi.Tool("Edit", input{"file_path": "/workspace/notes.txt", "old_string": "absent", "new_string": "x"}),
			modelapi.Tool("Glob", input{"pattern": "*.txt"}),
			modelapi.Tool("Grep", input{"pattern": "one"}),
			modelapi.Tool("NoSuchTool", input{"x": 1}),
			modelapi.Text("All done.\n\nNothing is left."),
		}},
		{name: "thinking", turns: []modelapi.Turn{
			{Thinking: "Let me think.", Text: "I thought."},
		}},
		{name: "plan", env: []string{"CLAUDE_CODE_ENABLE_TODO_TOOLS=1"}, turns: []modelapi.Turn{
			modelapi.Tool("TaskCreate", input{"subject": "read it", "description": "read all of it", "activeForm": "reading"}),
			modelapi.Tool("TaskCreate", input{"subject": "write it", "description": "write all of it"}),
			modelapi.Tool("TaskUpdate", input{"taskId": "1", "status": "in_progress"}),
			modelapi.Tool("TaskUpdate", input{"taskId": "1", "status": "completed"}),
			modelapi.Tool("TaskUpdate", input{"taskId": "2", "subject": "write more", "status": "in_progress"}),
			modelapi.Tool("TaskUpdate", input{"taskId": "7", "status": "completed"}),
			modelapi.Tool("TaskList", input{}),
			modelapi.Tool("TaskUpdate", input{"taskId": "2", "status": "deleted"}),
			modelapi.Text("planned"),
		}},
		{name: "plan-todo", env: []string{"CLAUDE_CODE_ENABLE_TODO_TOOLS=1", "CLAUDE_CODE_ENABLE_TASKS=0"}, turns: []modelapi.Turn{
			modelapi.Tool("TodoWrite", input{"todos": []input{
				{"content": "read", "status": "completed", "activeForm": "reading"},
				{"content": "write", "status": "in_progress", "activeForm": "writing"},
			}}),
			modelapi.Text("planned"),
		}},
		{name: "plan-mode", turns: []modelapi.Turn{
			modelapi.Tool("EnterPlanMode", input{}),
			modelapi.Tool("ExitPlanMode", input{"plan": "# Plan\n\n1. read\n2. write"}),
			modelapi.Text("the plan is made"),
		}},
		{name: "subagent", turns: []modelapi.Turn{
			modelapi.Tool("Agent", input{"description": "look around", "prompt": "[[sub]] look", "subagent_type": "general-purpose"}),
			modelapi.Text("the subagent is done"),
		}, marked: map[string][]modelapi.Turn{"sub": {
			modelapi.Text("I look.").With(modelapi.Shell("echo from the subagent")), modelapi.Text("it is fine"),
		}}},
		{name: "background", env: []string{"CLAUDE_CODE_DISABLE_BACKGROUND_TASKS="}, turns: []modelapi.Turn{
			modelapi.Tool("Bash", input{"command": "sleep 1; echo late", "description": "wait", "run_in_background": true}),
			modelapi.Tool("Agent", input{
				"description": "look around", "prompt": "[[sub]] look", "subagent_type": "general-purpose", "run_in_background": true,
			}),
			modelapi.Text("both run"),
			modelapi.Text("one is done").Repeat(-1),
		}, marked: map[string][]modelapi.Turn{"sub": {modelapi.Shell("sleep 2; echo from the subagent"), modelapi.Text("it is fine")}}},
		{name: "mcp", files: mcpFiles(), args: []string{"--mcp-config", `{"mcpServers":{"mock":{"command":"python3","args":["/workspace/mcp.py"]},"gone":{"command":"/nonexistent"}}}`}, turns: []modelapi.Turn{
			modelapi.Tool("mcp__mock__echo", input{"text": "hello"}),
			modelapi.Tool("mcp__mock__picture", input{}),
			modelapi.Tool("mcp__mock__fail", input{}),
			modelapi.Tool("ListMcpResourcesTool", input{}),
			modelapi.Text("called"),
		}},
		{name: "web-search", turns: []modelapi.Turn{
			modelapi.Tool("WebSearch", input{"query": "ratchets"}),
			{Search: "ratchets", Text: "A ratchet turns one way."},
			modelapi.Text("found"),
		}},
		{name: "web-fetch", turns: []modelapi.Turn{
			modelapi.Tool("WebFetch", input{"url": "http://127.0.0.1:9/", "prompt": "what is it"}),
			modelapi.Text("not there"),
		}},
		{name: "image", files: map[string]string{"dot.png": dotPNG}, turns: []modelapi.Turn{
			modelapi.Tool("Read", input{"file_path": "/workspace/dot.png"}),
			modelapi.Text("a dot"),
		}},
		{name: "compact", turns: []modelapi.Turn{
			modelapi.Text("first"), modelapi.Text("<summary>it was said</summary>"), modelapi.Text("after"),
		}, steps: []step{say("/compact"), say("go on")}},
		{name: "compact-auto", args: []string{"--settings", `{"autoCompactEnabled":true}`}, env: []string{"CLAUDE_CODE_AUTO_COMPACT_WINDOW=50000"}, turns: []modelapi.Turn{
			modelapi.Text("first"), modelapi.Text("second"),
			{Text: "much", Calls: []modelapi.Call{{Shell: "echo big"}}, Usage: modelapi.Usage{Input: 190000, Output: 50}},
			modelapi.Text("<summary>it was said</summary>"), modelapi.Text("after").Repeat(-1),
		}, steps: []step{say("second"), say("third")}},
		{name: "compact-failed", args: []string{"--settings", `{"autoCompactEnabled":true}`}, env: []string{"CLAUDE_CODE_AUTO_COMPACT_WINDOW=50000"}, turns: []modelapi.Turn{
			{Text: "much", Calls: []modelapi.Call{{Shell: "echo big"}}, Usage: modelapi.Usage{Input: 190000, Output: 50}},
			modelapi.Text("after").Repeat(-1),
		}},
		{name: "hooks", args: []string{"--include-hook-events"}, home: map[string]string{".claude/settings.json": claudeHooks}, turns: []modelapi.Turn{
			modelapi.Shell("echo fine"), modelapi.Shell("echo forbidden"), modelapi.Text("hooked"),
		}},
		{name: "retries", turns: []modelapi.Turn{modelapi.HTTPError(529).Repeat(2), modelapi.Text("at last")}},
		{name: "refused", turns: []modelapi.Turn{modelapi.HTTPError(403)}},
		{name: "fallback", args: []string{"--fallback-model", "claude-sonnet-4-5"}, turns: []modelapi.Turn{
			modelapi.HTTPError(529).Repeat(4), modelapi.Text("by the other model"),
		}},
		{name: "limit", oauth: true, turns: []modelapi.Turn{modelapi.UsageLimit(time.Unix(1795355520, 0)).Repeat(-1)}},
		{name: "model", turns: []modelapi.Turn{modelapi.Text("first"), modelapi.Text("second")}, steps: []step{say("/model claude-sonnet-4-5"), say("and now")}},
		{name: "slash", turns: []modelapi.Turn{modelapi.Text("first"), modelapi.Text("second")}, steps: []step{say("/context"), say("/nonsense"), say("/clear")}},
		{name: "ask", args: []string{"--permission-mode", "default"}, turns: []modelapi.Turn{
			modelapi.Shell("touch a"), modelapi.WriteFile("/workspace/b", "b\n"), modelapi.Text("asked"),
		}},
		{name: "denied", args: []string{"--disallowedTools", "Bash(curl *)", "WebFetch"}, turns: []modelapi.Turn{
			modelapi.Shell("curl http://127.0.0.1:9/"), modelapi.Tool("WebFetch", input{"url": "http://127.0.0.1:9/", "prompt": "x"}), modelapi.Text("denied"),
		}},
		{name: "question", turns: []modelapi.Turn{modelapi.Ask("Which colour?", "red", "blue"), modelapi.Text("chosen")}},
		{name: "interrupt", turns: []modelapi.Turn{modelapi.Shell("sleep 30"), modelapi.Text("again")}, steps: []step{stop(event.TypeToolStarted), say("go on")}},
		{name: "interrupt-text", turns: []modelapi.Turn{modelapi.Hang(20 * time.Second), modelapi.Text("again")}, steps: []step{stop(event.TypeMessageDelta), say("go on")}},
		{name: "steer", turns: []modelapi.Turn{modelapi.Shell("sleep 1"), modelapi.Text("steered")}, steps: []step{during(event.TypeToolStarted, "and this")}},
		{name: "cut", turns: []modelapi.Turn{modelapi.Cut(), modelapi.Text("whole")}},
		{name: "max-turns", args: []string{"--max-turns", "1"}, turns: []modelapi.Turn{modelapi.Shell("echo 1"), modelapi.Text("never")}},
		{name: "budget", args: []string{"--max-budget-usd", "0.0001"}, turns: []modelapi.Turn{modelapi.Shell("echo 1"), modelapi.Text("never")}},
		{name: "structured", args: []string{"--json-schema", `{"type":"object","properties":{"answer":{"type":"string"}},"required":["answer"]}`}, turns: []modelapi.Turn{
			modelapi.Tool("StructuredOutput", input{"answer": "42"}), modelapi.Text("answered"),
		}},
		{name: "commit", turns: []modelapi.Turn{
			modelapi.Shell("git init -q . && git -c user.name=a -c user.email=a@example.com commit -q --allow-empty -m first && git log --format=%s"),
			modelapi.Text("committed"),
		}},
		{name: "limit-warning", oauth: true, turns: []modelapi.Turn{warned()}},
		{name: "skill", files: map[string]string{".claude/skills/greet/SKILL.md": "---\nname: greet\ndescription: greets\n---\nSay hello.\n"}, args: []string{"--setting-sources", "user,project"}, turns: []modelapi.Turn{
			modelapi.Tool("Skill", input{"skill": "greet"}), modelapi.Text("hello"),
		}},
	}
	for i := range all {
		all[i].stream = claudeStream
		all[i].args = append([]string{"--model", claudeModel}, all[i].args...)
	}
	return all
}

// warned is a reply that says that little is left of a subscription's window.
func warned() modelapi.Turn {
	t := modelapi.Text("nearly")
	t.Header = http.Header{}
	for name, value := range map[string]string{
		"Status": "allowed_warning", "Reset": "1795355520", "Representative-Claim": "five_hour",
		"5h-Utilization": "0.92", "5h-Reset": "1795355520", "5h-Surpassed-Threshold": "0.9",
	} {
		t.Header.Set("Anthropic-Ratelimit-Unified-"+name, value)
	}
	return t
}

// claudePrintScenarios are what CI users run themselves.
func claudePrintScenarios() []scenario {
	all := []scenario{
		{name: "tools", turns: []modelapi.Turn{
			modelapi.Text("I will look.").With(modelapi.Shell("echo hello")),
			modelapi.WriteFile("/workspace/notes.txt", "one\ntwo\n"),
			modelapi.Text("done"),
		}},
		{name: "partial", args: []string{"--include-partial-messages"}, turns: []modelapi.Turn{{Thinking: "hm", Text: "written piece by piece"}}},
		{name: "subagent", turns: []modelapi.Turn{
			modelapi.Tool("Agent", input{"description": "look around", "prompt": "[[sub]] look", "subagent_type": "general-purpose"}),
			modelapi.Text("the subagent is done"),
		}, marked: map[string][]modelapi.Turn{"sub": {modelapi.Shell("echo from the subagent"), modelapi.Text("it is fine")}}},
		{name: "denied", args: []string{"--permission-mode", "default"}, turns: []modelapi.Turn{modelapi.Shell("touch a"), modelapi.Text("denied")}},
		{name: "retries", turns: []modelapi.Turn{modelapi.HTTPError(529), modelapi.Text("at last")}},
		{name: "refused", turns: []modelapi.Turn{modelapi.HTTPError(403)}},
		{name: "limit", oauth: true, turns: []modelapi.Turn{modelapi.UsageLimit(time.Unix(1795355520, 0)).Repeat(-1)}},
		{name: "max-turns", args: []string{"--max-turns", "1"}, turns: []modelapi.Turn{modelapi.Shell("echo 1"), modelapi.Text("never")}},
	}
	for i := range all {
		all[i].stream = claudePrint
		all[i].args = append([]string{"--model", claudeModel}, all[i].args...)
	}
	return all
}

// claudeHooks lets one command pass, blocks another, and fails at the end.
const claudeHooks = `{"hooks":{
"UserPromptSubmit":[{"hooks":[{"type":"command","command":"echo remember the milk"}]}],
"PreToolUse":[{"matcher":"Bash","hooks":[{"type":"command","command":"if grep -q forbidden; then echo not that one >&2; exit 2; fi"}]}],
"PostToolUse":[{"matcher":"Bash","hooks":[{"type":"command","command":"echo '{\"systemMessage\":\"checked\"}'"}]}],
"Stop":[{"hooks":[{"type":"command","command":"echo broken >&2; exit 1"}]}]}}`
