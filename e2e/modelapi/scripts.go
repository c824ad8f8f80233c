package modelapi

import "bytes"

// scripts knows which turns are left for whom. The server's lock guards it.
type scripts struct {
	fallback []Turn
	keys     []string           // in the order they were set, so that markers are found in order
	byKey    map[string]*cursor // scripts with a key
	joined   map[string]string  // conversation -> key that it was first matched with
	others   map[string]*cursor // conversation -> its own run of the default script
}

// cursor is a script and how far it was played.
type cursor struct {
	turns []Turn
	taken int // requests that took turns[0]
}

func newScripts(fallback []Turn) scripts {
	return scripts{
		fallback: fallback,
		byKey:    map[string]*cursor{},
		joined:   map[string]string{},
		others:   map[string]*cursor{},
	}
}

func (s *scripts) set(key string, turns []Turn) {
	if s.byKey[key] == nil {
		s.keys = append(s.keys, key)
	}
	s.byKey[key] = &cursor{turns: turns}
}

func (s *scripts) left(key string) int {
	c := s.byKey[key]
	if c == nil {
		return 0
	}
	return len(c.turns)
}

// next returns the key of the script in use, "" for the default, and its next turn.
func (s *scripts) next(conversation, token string, body []byte, side bool) (string, Turn) {
	if side {
		return "", Turn{Text: "ok"}
	}
	key := s.match(conversation, token, body)
	c := s.byKey[key]
	if c == nil {
		key = ""
		c = s.others[conversation]
	}
	if c == nil {
		c = &cursor{turns: s.fallback}
		s.others[conversation] = c
	}
	return key, c.next()
}

// match keeps a conversation with the script it started with: what a tool prints
// later, or the prompt of a subagent, must not take it away.
func (s *scripts) match(conversation, token string, body []byte) string {
	if s.byKey[conversation] != nil {
		return conversation
	}
	if key, ok := s.joined[conversation]; ok {
		return key
	}
	joined := token
	for _, key := range s.keys {
		if bytes.Contains(body, []byte("[["+key+"]]")) {
			joined = key
			break
		}
	}
	s.joined[conversation] = joined
	return joined
}

func (c *cursor) next() Turn {
	if len(c.turns) == 0 {
		return Turn{Text: "(end of script)"}
	}
	turn := c.turns[0]
	c.taken++
	if turn.Times >= 0 && c.taken >= turn.Times {
		c.turns, c.taken = c.turns[1:], 0
	}
	return turn
}
