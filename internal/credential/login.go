package credential

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// login is a parsed login file.
//
//	claude: {"claudeAiOauth":{"accessToken":"…","refreshToken":"…","expiresAt":1795344262000,"scopes":[…]}}
//	codex:  {"auth_mode":"chatgpt","OPENAI_API_KEY":null,"tokens":{"id_token":"…","access_token":"…","refresh_token":"…","account_id":"…"}}
//	codex:  {"OPENAI_API_KEY":"sk-…"}
type login struct {
	projected []byte    // the file without refresh tokens and other services' logins
	secrets   []string  // every token and key in the file
	expires   time.Time // of the access token; zero is unknown or never
	access    string
	renewable bool   // it holds a refresh token
	plan      string // the subscription, as the vendor calls it; empty: unknown
}

// parse reads a login file. ErrNoLogin means that it holds no token, as after a
// refresh that the vendor refused; ErrMalformed that it is not of the known form.
func parse(kind string, data []byte) (login, error) {
	root, err := decode(data)
	if err != nil {
		return login{}, err
	}
	var l login
	switch kind {
	case Claude:
		oauth, _ := root["claudeAiOauth"].(map[string]any)
		if l.access = text(oauth["accessToken"]); l.access == "" {
			return login{}, ErrNoLogin
		}
		l.expires = unixMilli(oauth["expiresAt"])
		l.renewable, l.plan = text(oauth["refreshToken"]) != "", text(oauth["subscriptionType"])
	case Codex:
		tokens, _ := root["tokens"].(map[string]any)
		l.access = text(tokens["access_token"])
		if l.access == "" && text(root["OPENAI_API_KEY"]) == "" {
			return login{}, ErrNoLogin
		}
		l.expires = unixSeconds(jwtClaims(l.access)["exp"])
		auth, _ := jwtClaims(text(tokens["id_token"]))["https://api.openai.com/auth"].(map[string]any)
		l.renewable, l.plan = text(tokens["refresh_token"]) != "", text(auth["chatgpt_plan_type"])
		if l.access == "" {
			l.plan = "API key"
		}
	}
	s := newScrubber(root)
	l.secrets = s.secrets
	if s.leaks(l.access) {
		return login{}, fmt.Errorf("%w: the access token holds the refresh token", ErrMalformed)
	}
	delete(root, "mcpOAuth") // Claude keeps the logins of other services there
	l.projected, err = encode(s.object(root))
	return l, err
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // as the vendors write it
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("%w: it cannot be written again", ErrMalformed)
	}
	return b.Bytes(), nil
}

// decode parses data as one JSON object and keeps numbers as they are written.
// The errors of encoding/json are left out, because they quote their input.
func decode(data []byte) (map[string]any, error) {
	var root map[string]any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&root); err != nil || root == nil {
		return nil, fmt.Errorf("%w: no JSON object", ErrMalformed)
	}
	if dec.More() {
		return nil, fmt.Errorf("%w: something follows the JSON object", ErrMalformed)
	}
	return root, nil
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// unixMilli reads a time in milliseconds; zero if v is none.
func unixMilli(v any) time.Time {
	n, _ := v.(json.Number)
	ms, err := n.Float64() // vendors have written fractions
	if err != nil || ms <= 0 || ms > 253402300799000 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms))
}

// unixSeconds reads a time in seconds; zero if v is none.
func unixSeconds(v any) time.Time {
	n, _ := v.(json.Number)
	sec, err := n.Float64()
	if err != nil || sec <= 0 || sec > 253402300799 {
		return time.Time{}
	}
	return time.Unix(int64(sec), 0)
}

// jwtClaims returns the claims of a JWT, unverified; nil for other tokens.
func jwtClaims(token string) map[string]any {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return nil
	}
	claims, err := decode(data)
	if err != nil {
		return nil
	}
	return claims
}
