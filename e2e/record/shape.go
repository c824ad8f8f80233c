package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// shapes is what the lines of one stream look like, by the name of the line.
//
//	assistant/text
//	  message.content[].text string
//	  message.stop_reason null string
type shapes map[string]shape

// shape has the paths of a line's keys, and the JSON types that each value had.
type shape map[string]map[string]bool

// opaque are keys whose values are not the vendor's protocol, or whose keys are
// data: inputs and outputs of tools, names of models and of servers. They count
// as objects.
var opaque = []string{
	"input", "tool_input", "tool_use_result", "arguments", "updatedInput", "modelUsage", "structuredContent",
	"permission_suggestions", "by_type", "config", "layers", "mcpServers", "agentsStates", "agents_states", "answers", "schema",
}

// add takes in one line; what is no JSON object has no shape.
func (s shapes) add(line []byte) {
	var m map[string]any
	if json.Unmarshal(line, &m) != nil || m["do"] != nil {
		return
	}
	name := shapeName(m)
	if s[name] == nil {
		s[name] = shape{}
	}
	s[name].walk("", m)
	delete(s[name], "")
}

// shapeName is what a line calls itself: type and subtype, of Codex the method
// or what the response is about, and the kind of the item or event inside.
func shapeName(m map[string]any) string {
	var parts []string
	for _, path := range [][]string{
		{"type"}, {"subtype"}, {"method"}, {"event", "type"}, {"event", "delta", "type"}, {"item", "type"},
		{"params", "item", "type"}, {"request", "subtype"}, {"response", "subtype"},
	} {
		if text, ok := dig(m, path).(string); ok {
			parts = append(parts, text)
		}
	}
	if content, ok := dig(m, []string{"message", "content"}).([]any); ok && len(content) == 1 {
		if text, ok := dig(content[0], []string{"type"}).(string); ok {
			parts = append(parts, text)
		}
	}
	if result, ok := m["result"].(map[string]any); ok && len(parts) == 0 {
		parts = append(parts, "response", strings.Join(slices.Sorted(maps.Keys(result)), ","))
	}
	if len(parts) == 0 {
		return "response"
	}
	return strings.Join(parts, "/")
}

func dig(v any, path []string) any {
	for _, key := range path {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// walk notes the types of v, which is at path, and of everything inside.
func (s shape) walk(path string, v any) {
	if s[path] == nil {
		s[path] = map[string]bool{}
	}
	s[path][kindOf(v)] = true
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			at := strings.TrimPrefix(path+"."+key, ".")
			if slices.Contains(opaque, key) {
				value = map[string]any{}
			}
			s.walk(at, value)
		}
	case []any:
		for _, e := range v {
			s.walk(path+"[]", e)
		}
	}
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "bool"
	case float64:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}

// String is the form of the committed files, sorted.
func (s shapes) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintln(&b, name)
		for _, path := range slices.Sorted(maps.Keys(s[name])) {
			fmt.Fprintf(&b, "  %s %s\n", path, s[name].types(path))
		}
	}
	return b.String()
}

func (s shape) types(path string) string {
	return strings.Join(slices.Sorted(maps.Keys(s[path])), " ")
}

// parseShapes reads what String wrote.
func parseShapes(text string) shapes {
	all := shapes{}
	var at shape
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		rest, inside := strings.CutPrefix(line, "  ")
		if !inside {
			at = shape{}
			all[line] = at
			continue
		}
		words := strings.Fields(rest)
		types := map[string]bool{}
		for _, w := range words[1:] {
			types[w] = true
		}
		at[words[0]] = types
	}
	return all
}

// drift says how the shapes of now differ from those of before, a line for each
// shape; nothing if they do not. Of an object that is new or gone the inside is
// left out.
//
//	changed  result/success  + origin object  - api_error  ~ n: null, was number
func drift(before, now shapes) []string {
	var out []string
	for _, name := range union(before, now) {
		old, new := before[name], now[name]
		switch {
		case old == nil:
			out = append(out, "new      "+name+new.minus(nil, "+"))
		case new == nil:
			out = append(out, "gone     "+name)
		default:
			if changes := new.minus(old, "+") + old.minus(new, "-") + new.retyped(old); changes != "" {
				out = append(out, "changed  "+name+changes)
			}
		}
	}
	return out
}

// minus lists the paths that s has and other has not, without those inside of
// another one.
func (s shape) minus(other shape, sign string) string {
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(s)) {
		up := strings.TrimSuffix(path, "[]")
		if up == path {
			up = path[:max(strings.LastIndexByte(path, '.'), 0)]
		}
		if other[path] != nil || s[up] != nil && other[up] == nil {
			continue
		}
		fmt.Fprintf(&b, "  %s %s", sign, path)
		if sign == "+" {
			b.WriteString(" " + s.types(path))
		}
	}
	return b.String()
}

// retyped lists the paths whose values have other types than in old.
func (s shape) retyped(old shape) string {
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(s)) {
		if old[path] != nil && old.types(path) != s.types(path) {
			fmt.Fprintf(&b, "  ~ %s: %s, was %s", path, s.types(path), old.types(path))
		}
	}
	return b.String()
}

// union is the sorted keys of both.
func union[V any](a, b map[string]V) []string {
	keys := maps.Clone(a)
	if keys == nil {
		keys = map[string]V{}
	}
	maps.Copy(keys, b)
	return slices.Sorted(maps.Keys(keys))
}
