package modelapi

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Codex's tools, as version 0.169 names them.
const (
	execCommand = "exec_command" // function: runs a shell command
	applyPatch  = "apply_patch"  // custom: takes a patch as it is
	codeMode    = "exec"         // custom: JavaScript that calls the other tools; all that newer models have
	askUser     = "request_user_input"
)

// codexTool spells a call for Codex with the tools that the request offers.
func codexTool(box toolbox, call Call) (name string, input any) {
	switch {
	case call.Shell != "":
		return codexShell(box, call.Shell)
	case call.Path != "":
		return codexPatch(box, addFile(call.Path, call.Content))
	case call.Question != "":
		options := []object{}
		for _, option := range call.Options {
			options = append(options, object{"label": option, "description": option})
		}
		return askUser, object{"questions": []object{{
			"id": "question", "header": "Question", "question": call.Question, "options": options,
		}}}
	case call.Server != "" && box.codeMode():
		return codeMode, "text(JSON.stringify(await tools.mcp__" + call.Server + "__" + call.Name + "(" + jsonText(call.Input) + ")));\n"
	case call.Input == nil:
		return call.Name, object{}
	default:
		return call.Name, call.Input
	}
}

func codexShell(box toolbox, command string) (string, any) {
	// The longest yield that Codex allows: a command of a test should be done by then.
	args := object{"cmd": command, "yield_time_ms": 30000}
	if _, ok := box[execCommand]; !ok && box.codeMode() {
		return codeMode, "text(await tools.exec_command(" + jsonText(args) + "));\n"
	}
	return execCommand, args
}

// codexPatch uses the patch tool, in code mode from JavaScript. Models that Codex
// does not know have neither: they run the apply_patch command, which Codex
// recognises in a shell call.
func codexPatch(box toolbox, patch string) (string, any) {
	if _, ok := box[applyPatch]; ok {
		return applyPatch, patch
	}
	if box.codeMode() {
		return codeMode, "text(await tools.apply_patch(" + jsonText(patch) + "));\n"
	}
	return codexShell(box, "apply_patch <<'RATCHET_PATCH'\n"+patch+"\nRATCHET_PATCH")
}

func (b toolbox) codeMode() bool { return b[codeMode].kind == "custom" }

func addFile(path, content string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*** Begin Patch\n*** Add File: %s\n", path)
	for line := range strings.SplitSeq(strings.TrimSuffix(content, "\n"), "\n") {
		b.WriteString("+" + line + "\n")
	}
	b.WriteString("*** End Patch")
	return b.String()
}

// jsonText is value as JSON, which is also a JavaScript literal.
func jsonText(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("modelapi: tool input: %v", err)) // a script that cannot be sent
	}
	return string(data)
}
