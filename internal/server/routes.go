package server

import "net/http"

// audience is who may make a call.
type audience int

const (
	anyone audience = iota
	people          // a personal token or a browser's cookie
	devices
	known // people and devices
)

// route is one call of the API.
type route struct {
	pattern string // of http.ServeMux
	who     audience
	handle  func(*call) error
}

// routes are all calls, which openapi.yaml describes in the same order.
func (s *Server) routes() []route {
	return append(s.pages(), []route{
		{"POST /api/v1/runner/sync", devices, s.sync},
		{"POST /api/v1/runner/sessions", devices, s.announce},
		{"POST /api/v1/runner/sessions/{id}/events", devices, s.ingest},
		{"PUT /api/v1/runner/sessions/{id}/artifacts/{name}", devices, s.putArtifact},
		{"GET /api/v1/runner/sessions/{id}/artifacts/{name}", devices, s.artifactState},

		{"POST /api/v1/tasks", people, s.addTask},
		{"GET /api/v1/tasks", people, s.listTasks},
		{"GET /api/v1/tasks/{id}", people, s.showTask},
		{"POST /api/v1/tasks/{id}/cancel", people, s.cancelTask},
		{"POST /api/v1/tasks/{id}/retry", people, s.retryTask},

		{"GET /api/v1/sessions", people, s.listSessions},
		{"GET /api/v1/sessions/{id}", people, s.showSession},
		{"GET /api/v1/sessions/{id}/events", people, s.stream},
		{"GET /api/v1/sessions/{id}/commands", people, s.listCommands},
		{"POST /api/v1/sessions/{id}/commands", people, s.addCommand},
		{"GET /api/v1/sessions/{id}/artifacts/{name}", people, s.getArtifact},

		{"GET /api/v1/inbox", people, s.listInbox},
		{"POST /api/v1/inbox/{id}/dismiss", people, s.dismiss},

		{"GET /api/v1/runners", people, s.listRunners},
		{"DELETE /api/v1/runners/{id}", people, s.removeRunner},

		{"POST /api/v1/devices", people, s.addDevice},
		{"GET /api/v1/devices", people, s.listDevices},
		{"DELETE /api/v1/devices/{id}", people, s.revokeDevice},
		{"POST /api/v1/tokens", people, s.addToken},
		{"GET /api/v1/tokens", people, s.listTokens},
		{"DELETE /api/v1/tokens/{id}", people, s.revokeToken},
		{"GET /api/v1/browsers", people, s.listBrowsers},
		{"DELETE /api/v1/browsers/{id}", people, s.revokeBrowser},

		{"GET /api/v1/me", known, s.me},
		{"GET /api/v1/audit", people, s.listAudit},
		{"POST /api/v1/setup", anyone, s.setUp},
		{"POST /api/v1/login", anyone, s.login},
		{"POST /api/v1/logout", people, s.logout},

		{"GET /api/v1/openapi.yaml", anyone, s.openapi},
		{"GET /metrics", people, s.showMetrics},
		{"GET /healthz", anyone, s.healthz},
		{"GET /readyz", anyone, s.readyz},
	}...)
}

// serve makes a handler of a route.
func (s *Server) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{w: w, r: r}
		err := s.authenticate(c, rt.who)
		if err == nil {
			err = rt.handle(c)
		}
		if err != nil {
			s.fail(c, err)
		}
	})
}
