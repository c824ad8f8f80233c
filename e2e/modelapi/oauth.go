package modelapi

import (
	"encoding/json"
	"net/http"
	"strings"
)

// tokenRequest is what both vendors' clients post to renew a login.
//
//	{"grant_type":"refresh_token","refresh_token":"…","client_id":"…"}
type tokenRequest struct {
	Grant   string `json:"grant_type"`
	Refresh string `json:"refresh_token"`
	Scope   string `json:"scope"`
}

// serveToken renews a login, for platform.claude.com/v1/oauth/token and
// auth.openai.com/oauth/token.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	body := readBody(w, r)
	s.take(r, body, "", true)
	var request tokenRequest
	_ = json.Unmarshal(body, &request) // what it is not is an unknown token
	login, family, code := s.logins.renew(request.Refresh)
	openAI := !strings.HasPrefix(r.URL.Path, "/v1/")
	switch {
	case code != "" && openAI:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(object{"error": object{"code": code, "message": "the refresh token is of no use"}})
	case code != "":
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(object{"error": "invalid_grant", "error_description": "Refresh token not found or invalid"})
	case openAI:
		writeJSON(w, nil, object{"id_token": login.ID, "access_token": login.Access, "refresh_token": login.Refresh})
	default:
		writeJSON(w, nil, object{
			"token_type": "Bearer", "access_token": login.Access, "refresh_token": login.Refresh,
			"expires_in": int(family.life.Seconds()), "scope": request.Scope,
		})
	}
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
