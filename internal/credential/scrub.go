package credential

import "strings"

// minSecret is the length from which a string is treated as a secret wherever it
// occurs. Shorter ones would match by chance, and no vendor has any.
const minSecret = 8

// scrubber copies a decoded login file without its refresh tokens. Those of MCP
// servers, which Claude Code keeps in the same file, go as well.
type scrubber struct {
	secrets []string // all tokens and keys, refresh tokens included
	refresh []string
}

func newScrubber(root map[string]any) *scrubber {
	s := &scrubber{}
	s.collect("", root)
	return s
}

// collect notes the strings under keys that name a secret: accessToken and
// OPENAI_API_KEY do, tokenType does not.
func (s *scrubber) collect(key string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, member := range v {
			s.collect(k, member)
		}
	case []any:
		for _, element := range v {
			s.collect(key, element)
		}
	case string:
		if len(v) < minSecret {
			return
		}
		if isSecretKey(key) {
			s.secrets = append(s.secrets, v)
		}
		if isRefreshKey(key) {
			s.refresh = append(s.refresh, v)
		}
	}
}

// object returns a copy of m in which nothing holds a refresh token.
func (s *scrubber) object(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		switch {
		case s.leaks(k):
		case isRefreshKey(k):
			if v != nil {
				v = "" // Codex wants the member to be there
			}
			out[k] = v
		default:
			out[k] = s.value(v)
		}
	}
	return out
}

func (s *scrubber) value(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return s.object(v)
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = s.value(element)
		}
		return out
	case string:
		if s.leaks(v) {
			return ""
		}
	}
	return v
}

// leaks reports whether text holds a refresh token of the file.
func (s *scrubber) leaks(text string) bool {
	for _, r := range s.refresh {
		if strings.Contains(text, r) {
			return true
		}
	}
	return false
}

// normalKey makes refreshToken, refresh_token and REFRESH-TOKEN the same.
func normalKey(key string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "", ".", "").Replace(key))
}

func isRefreshKey(key string) bool { return strings.Contains(normalKey(key), "refreshtoken") }

func isSecretKey(key string) bool {
	key = normalKey(key)
	for _, word := range []string{"token", "tokens", "secret", "apikey", "password"} {
		if strings.HasSuffix(key, word) {
			return true
		}
	}
	return false
}
