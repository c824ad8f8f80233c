package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// A text delta as Claude writes it, the line of which there are most.
const claudeDeltaLine = `{"type":"stream_event","event":{"delta":{"text":" the quick","type":"text_delta"},"index":0,"type":"content_block_delta"},"session_id":"aa75db7b-2859-402a-b5ff-09cec6cd2c2b","parent_tool_use_id":null,"uuid":"21a491ea-82e6-4c0b-8e81-8f80730216b5"}`

func BenchmarkClaudeDelta(b *testing.B) {
	c := testClaude()
	line := []byte(claudeDeltaLine)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		c.Line(line)
	}
}

// BenchmarkClaudeToolResult decodes 30 KB of command output, the most that
// Claude prints.
func BenchmarkClaudeToolResult(b *testing.B) {
	output, err := json.Marshal(strings.Repeat("ok  \tgithub.com/example/module/internal/pkg\t0.042s\n", 600))
	if err != nil {
		b.Fatal(err)
	}
	line := fmt.Appendf(nil, `{"type":"user","message":{"role":"user","content":[{"tool_use_id":"t1","type":"tool_result","content":%s,"is_error":false}]},"parent_tool_use_id":null,"tool_use_result":{"stdout":%[1]s,"stderr":"","interrupted":false}}`, output)
	c := testClaude()
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		c.Line(line)
	}
}

func BenchmarkPreview(b *testing.B) {
	const size = 1 << 20
	for name, text := range map[string]string{
		"plain":   strings.Repeat("x", size),
		"escapes": strings.Repeat("func main() {\n\tfmt.Println(\"hello\")\n}\n", size/36),
		"short":   strings.Repeat(`","key":"value`, size/14),
	} {
		b.Run(name, func(b *testing.B) {
			value, err := json.Marshal(text)
			if err != nil {
				b.Fatal(err)
			}
			if name == "short" {
				value = fmt.Appendf(nil, `"%s"`, text)
			}
			line := bytes.Join([][]byte{[]byte(`{"type":"user","text":`), value, []byte(`}`)}, nil)
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				Preview(line, 16<<10)
			}
		})
	}
}
