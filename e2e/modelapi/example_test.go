package modelapi_test

import (
	"fmt"
	"os"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
)

// A script for one session, and how the agents are pointed at the server.
func Example() {
	api, err := modelapi.New(modelapi.Text("hello"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer api.Close()
	api.Script("sk-fake-1",
		modelapi.Text("I will look.").With(modelapi.Shell("ls")),
		modelapi.WriteFile("notes.txt", "hi\n"),
		modelapi.Text("done"))

	_ = []string{"ANTHROPIC_BASE_URL=" + api.URL(), "ANTHROPIC_API_KEY=sk-fake-1"} // claude
	_ = []string{"-c", `openai_base_url="` + api.URL() + `/v1"`}                   // codex

	fmt.Println(api.Left("sk-fake-1"), "turns to play")
	// Output: 3 turns to play
}
