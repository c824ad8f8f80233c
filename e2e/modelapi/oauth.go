package modelapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// tokenRequest is what both vendors' clients post to renew a login, and after a
// person has signed in.
//
//	{"grant_type":"refresh_token","refresh_token":"…","client_id":"…"}
//	{"grant_type":"authorization_code","code":"…","state":"…",…}
type tokenRequest struct {
	Grant   string `json:"grant_type"`
	Refresh string `json:"refresh_token"`
	Code    string `json:"code"`
	Scope   string `json:"scope"`
}

// serveToken gives out tokens, for platform.claude.com/v1/oauth/token and
// auth.openai.com/oauth/token.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	body := readBody(w, r)
	s.take(r, body, "", true)
	v := anthropic
	if !strings.HasPrefix(r.URL.Path, "/v1/") {
		v = openai
	}
	var request tokenRequest
	if json.Unmarshal(body, &request) != nil { // Codex posts a form after a sign-in
		form, _ := url.ParseQuery(string(body)) // what it is not is an unknown grant
		request = tokenRequest{Grant: form.Get("grant_type"), Code: form.Get("code")}
	}
	login, life, code := s.grant(v, request)
	if code != "" {
		writeRefusal(w, v, code)
		return
	}
	if v == openai {
		writeJSON(w, nil, object{"id_token": login.ID, "access_token": login.Access, "refresh_token": login.Refresh})
		return
	}
	scope := request.Scope
	if scope == "" {
		scope = "user:inference user:profile"
	}
	writeJSON(w, nil, object{
		"token_type": "Bearer", "access_token": login.Access, "refresh_token": login.Refresh,
		"expires_in": int(life.Seconds()), "scope": scope,
	})
}

// grant returns a login, or the vendor's error code.
func (s *Server) grant(v vendor, request tokenRequest) (Login, time.Duration, string) {
	if request.Grant == "refresh_token" {
		login, family, code := s.logins.renew(request.Refresh)
		if code != "" {
			return login, 0, code
		}
		return login, family.life, ""
	}
	life := s.logins.accepts()
	if life == 0 || request.Code != "good-code" {
		return Login{}, 0, "invalid_grant"
	}
	return s.logins.issue(&loginFamily{vendor: v, name: "signed-in", life: life}), life, ""
}

func writeRefusal(w http.ResponseWriter, v vendor, code string) {
	w.Header().Set("Content-Type", "application/json")
	if v == openai {
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(object{"error": object{"code": code, "message": "the grant is of no use"}})
		return
	}
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(object{"error": "invalid_grant", "error_description": "Refresh token not found or invalid"})
}

// serveUserCode begins Codex's sign-in on another device.
func (s *Server) serveUserCode(w http.ResponseWriter, r *http.Request) {
	s.take(r, readBody(w, r), "", true)
	writeJSON(w, nil, object{"device_auth_id": "device-1", "user_code": "ABCD-12345", "interval": "1"})
}

// serveDeviceToken says whether the person has signed in there.
func (s *Server) serveDeviceToken(w http.ResponseWriter, r *http.Request) {
	s.take(r, readBody(w, r), "", true)
	if s.logins.accepts() == 0 {
		writeError(w, openai, Turn{Status: http.StatusForbidden}) // not yet
		return
	}
	writeJSON(w, nil, object{"authorization_code": "good-code", "code_challenge": "challenge", "code_verifier": "verifier"})
}

// serveProfile answers what Claude asks about the account after a renewal.
func (s *Server) serveProfile(w http.ResponseWriter, r *http.Request) {
	s.take(r, nil, "", true)
	writeJSON(w, nil, object{
		"account":      object{"uuid": "00000000-0000-4000-8000-000000000001", "email": "person@example.com", "has_claude_max": true, "has_claude_pro": false},
		"organization": object{"uuid": "00000000-0000-4000-8000-000000000002", "organization_type": "claude_max", "rate_limit_tier": "default_claude_max_5x"},
	})
}

// serveAccounts answers what Codex asks about a ChatGPT login's account before
// anything else.
func (s *Server) serveAccounts(w http.ResponseWriter, r *http.Request) {
	s.take(r, nil, "", true)
	id := r.Header.Get("Chatgpt-Account-Id")
	writeJSON(w, nil, object{"account_ordering": []string{id}, "accounts": []object{{
		"id": id, "structure": "personal", "plan_type": "plus", "is_deactivated": false,
		"workspace_backend_origin": "https://chatgpt.com", "account_routing_override": "NO_CONSTRAINT",
	}}})
}
