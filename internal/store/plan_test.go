package store

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPlans: no query looks at more rows the older the database gets, but for those that
// look for a part of an id or run once an hour.
func TestPlans(t *testing.T) {
	t.Parallel()
	s := open(t)
	may := []string{"TaskIDs", "SessionIDs", "DeleteTokens", "Runners", "HeldSessions"}
	query := regexp.MustCompile("(?s)`-- name: (\\w+) :\\w+\n(.*?)`")
	n := 0
	for _, file := range must(filepath.Glob("sql/*.sql.go")) {
		for _, m := range query.FindAllStringSubmatch(string(must(os.ReadFile(file))), -1) {
			n++
			for _, step := range plan(t, s, m[2]) {
				if (strings.Contains(step, "SCAN") || strings.Contains(step, "TEMP")) && !slices.Contains(may, m[1]) {
					t.Errorf("%s: %s", m[1], step)
				}
			}
		}
	}
	if n < 40 {
		t.Error("found only", n, "queries")
	}
}

func plan(t *testing.T, s *Store, query string) (steps []string) {
	rows, err := s.readDB.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, make([]any, strings.Count(query, "?"))...)
	if err != nil {
		t.Fatal(query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, detail)
	}
	return steps
}
