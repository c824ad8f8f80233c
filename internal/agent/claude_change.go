package agent

import (
	"slices"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// claudeTask is something that runs in the background.
type claudeTask struct {
	ID          string `json:"task_id"`
	Type        string `json:"task_type"`
	Description string `json:"description"`
}

// claudeShellTask is the type of a task that is a shell command.
const claudeShellTask = "local_bash"

// tasksChanged takes the list of everything that runs in the background.
//
//	{"type":"system","subtype":"background_tasks_changed","tasks":[{"task_id":"b1","task_type":"local_bash","description":"wait"}]}
func (c *claude) tasksChanged(s *claudeStep, line []byte) {
	var l struct {
		Tasks []claudeTask `json:"tasks"`
	}
	s.decode(line, &l)
	for _, t := range c.background {
		if !hasTask(l.Tasks, t.ID) { // its end was not announced: the agent was interrupted
			s.add(event.BackgroundFinished{Task: t.ID, Status: "stopped"})
		}
	}
	for _, t := range l.Tasks {
		if !hasTask(c.background, t.ID) {
			s.add(event.BackgroundStarted{Task: t.ID, Kind: t.kind(), Title: claudeTitle(t.Description)})
		}
	}
	c.background = l.Tasks
	if len(s.Events) == 0 {
		s.protocol("system/background_tasks_changed")
	}
}

func hasTask(tasks []claudeTask, id string) bool {
	return slices.ContainsFunc(tasks, func(t claudeTask) bool { return t.ID == id })
}

func (t claudeTask) kind() event.ToolKind {
	switch t.Type {
	case claudeShellTask:
		return event.KindShell
	case "local_agent", "remote_agent":
		return event.KindSubagent
	}
	return event.KindOther
}

// taskNotification tells how a task ended. One that is not in the background
// ends with its tool call, which says the same.
func (c *claude) taskNotification(s *claudeStep, line []byte) {
	var l struct {
		Task    string `json:"task_id"`
		Status  string `json:"status"`
		Summary string `json:"summary"`
	}
	s.decode(line, &l)
	if !hasTask(c.background, l.Task) {
		s.protocol("system/task_notification")
		return
	}
	c.background = slices.DeleteFunc(c.background, func(t claudeTask) bool { return t.ID == l.Task })
	s.add(event.BackgroundFinished{Task: l.Task, Status: l.Status, Summary: claudeNotice(l.Summary)})
}

// taskProgress shows how far a subagent is, where the vendor puts it in words.
func (c *claude) taskProgress(s *claudeStep, line []byte) {
	var l struct {
		Call    string `json:"tool_use_id"`
		Summary string `json:"summary"`
	}
	s.decode(line, &l)
	if l.Call == "" || l.Summary == "" {
		s.protocol("system/task_progress")
		return
	}
	s.add(event.ToolOutput{Call: l.Call, Text: l.Summary + "\n"})
}

// compacted takes the line that stands where the conversation was.
//
//	{"type":"system","subtype":"compact_boundary","compact_metadata":{"trigger":"auto","pre_tokens":150000,"post_tokens":9000}}
func (c *claude) compacted(s *claudeStep, line []byte) {
	var l struct {
		Meta struct {
			Trigger string `json:"trigger"`
			Before  int64  `json:"pre_tokens"`
			After   int64  `json:"post_tokens"`
		} `json:"compact_metadata"`
	}
	s.decode(line, &l)
	s.add(event.ContextCompacted{Trigger: l.Meta.Trigger, TokensBefore: l.Meta.Before, TokensAfter: l.Meta.After})
}

// hookResponse tells how a hook ended. Exit code 2 is a hook's way to say no.
func (c *claude) hookResponse(s *claudeStep, line []byte) {
	var l struct {
		Name    string `json:"hook_name"`
		Output  string `json:"output"`
		Code    int    `json:"exit_code"`
		Outcome string `json:"outcome"`
	}
	s.decode(line, &l)
	e := event.HookFinished{Name: l.Name, Outcome: event.HookCompleted, Output: claudeNotice(l.Output)}
	switch {
	case l.Outcome == "cancelled":
		e.Outcome = event.HookCancelled
	case l.Outcome == "error" && l.Code == 2:
		e.Outcome = event.HookBlocked
	case l.Outcome == "error":
		e.Outcome = event.HookFailed
	}
	s.add(e)
}

// modelFallback says that another model took over in the middle of a turn.
func (c *claude) modelFallback(s *claudeStep, line []byte) {
	var l struct {
		From    string `json:"original_model"`
		To      string `json:"fallback_model"`
		Content string `json:"content"`
	}
	s.decode(line, &l)
	c.model = l.To
	s.add(event.ModelChanged{From: l.From, To: l.To, Reason: claudeNotice(l.Content)})
}
