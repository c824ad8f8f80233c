package main

import (
	"fmt"
	"regexp"
	"strings"
)

// ownID begins the ids that the recorder chose, which stay as they are.
const ownID = "c0000000-0000-4000-8000-"

// scrubRules replace what differs from one run to the next. Order matters: ids
// inside of paths come after the paths' dates.
var scrubRules = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:1"},
	{regexp.MustCompile(`sessions/\d{4}/\d\d/\d\d/rollout-[0-9T-]{19}`), "sessions/2026/01/02/rollout-2026-01-02T03-04-05"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "2026-01-02T03:04:05Z"},
	// Not "resetsAt": a script says when a usage limit ends.
	{regexp.MustCompile(`("(?:[A-Za-z_]*(?:_ms|Ms|[^s]_at|[^s]At|_time)|pid)": ?"?)\d+(?:\.\d+)?`), "${1}1"},
	{regexp.MustCompile(`("(?:processId|process_id)": ?")[0-9]+"`), `${1}1"`},
	{regexp.MustCompile(`("run_?[iI]d": ?")[0-9a-z]{9}-[0-9a-f]{8}"`), `${1}run-1"`},
	{regexp.MustCompile(`mcp-mock-blob-\d+-[a-z0-9]+`), "mcp-mock-blob-1"},
	{regexp.MustCompile(`("durationSeconds": ?)[0-9.e-]+`), "${1}1"},
	{regexp.MustCompile(`plans/[a-z]+-[a-z]+-[a-z]+\.md`), "plans/a-quiet-plan.md"},
	{regexp.MustCompile(`duration_ms: \d+`), "duration_ms: 1"}, // in a subagent's result
}

// scrubIDs find ids. They are numbered in the order in which they appear, so that
// what belongs together still does.
var scrubIDs = []struct {
	find *regexp.Regexp // the last group is the id
	name func(n int, id string) string
}{
	{regexp.MustCompile(`\b([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b`), func(n int, _ string) string {
		return fmt.Sprintf("00000000-0000-4000-8000-%012d", n)
	}},
	{regexp.MustCompile(`\b((?:msg|toolu|srvtoolu|resp|rs|fc|ctc|call|ws|exec|cmp)_[A-Z2-7]{26})\b`), func(n int, id string) string {
		return fmt.Sprintf("%s_%d", id[:strings.IndexByte(id, '_')], n)
	}},
	{regexp.MustCompile(`"(?:task_id|agentId|agent_id|backgroundTaskId|shellId|shell_id|bash_id)": ?"([a-z0-9]{8,})"`), func(n int, _ string) string {
		return fmt.Sprintf("task-%d", n)
	}},
}

// scrub makes a recording the same in every run, as far as the agents are.
func scrub(text string) string {
	for _, r := range scrubRules {
		text = r.find.ReplaceAllString(text, r.put)
	}
	for _, s := range scrubIDs {
		var pairs []string
		seen := map[string]bool{}
		for _, m := range s.find.FindAllStringSubmatch(text, -1) {
			id := m[len(m)-1]
			if seen[id] || strings.HasPrefix(id, ownID) {
				continue
			}
			seen[id] = true
			pairs = append(pairs, id, s.name(len(seen), id))
		}
		text = strings.NewReplacer(pairs...).Replace(text)
	}
	return text
}
