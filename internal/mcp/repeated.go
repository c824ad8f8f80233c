package mcp

import (
	"bytes"
	"encoding/json"
)

// repeated returns a key that an object in data has twice, of which the decoder would
// drop one silently; "" if there is none or data is no JSON.
func repeated(data []byte) string {
	type level struct {
		keys map[string]bool // of an object; nil in a list
		key  bool            // a key comes next
	}
	d := json.NewDecoder(bytes.NewReader(data))
	open := []level{{}}
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		top := &open[len(open)-1]
		switch name, isText := token.(string); {
		case isText && top.key:
			if top.keys[name] {
				return name
			}
			top.keys[name], top.key = true, false
			continue
		case token == json.Delim('{'):
			open = append(open, level{keys: map[string]bool{}, key: true})
			continue
		case token == json.Delim('['):
			open = append(open, level{})
			continue
		case token == json.Delim('}') || token == json.Delim(']'):
			open = open[:len(open)-1]
			top = &open[len(open)-1]
		}
		top.key = top.keys != nil // a value has ended
	}
}
