package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
)

// typed is what a person wants with a line: a message for the agent, or its last
// one back.
type typed struct {
	text     string
	priority agent.Priority
	withdraw bool
}

// parseTyped reads a line without white space around it.
//
//	TEXT          the agent reads it in its turn, between two steps
//	/next TEXT    the same
//	/now TEXT     at once: the turn is stopped for it
//	/later TEXT   when the turn has ended
//	/withdraw     the last message is taken back, if the agent has not read it
//	//TEXT        /TEXT, a command of the agent's own
//
// A path such as /workspace/file is no command.
func parseTyped(line string) (typed, error) {
	if rest, ok := strings.CutPrefix(line, "//"); ok {
		return typed{text: "/" + rest, priority: agent.Next}, nil
	}
	m := regexp.MustCompile(`(?s)^/([A-Za-z0-9_-]+)(?:\s+(.*))?$`).FindStringSubmatch(line)
	if m == nil {
		return typed{text: line, priority: agent.Next}, nil
	}
	switch word, text := m[1], m[2]; {
	case word == "withdraw" && text == "":
		return typed{withdraw: true}, nil
	case word == "withdraw":
		return typed{}, errors.New("/withdraw takes the last message back and has no text; //withdraw … sends it to the agent")
	case word != "now" && word != "next" && word != "later":
		return typed{}, fmt.Errorf("no command /%s: there are /now, /next, /later TEXT and /withdraw; //%s … sends it to the agent", word, word)
	case text == "":
		return typed{}, fmt.Errorf("nothing to send: type /%s TEXT", word)
	default:
		return typed{text: text, priority: agent.Priority(word)}, nil
	}
}
