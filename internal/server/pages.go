package server

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"sync"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

//go:embed pages
var pageFiles embed.FS

// templates are parsed when the first page is shown: most processes show none.
var templates = sync.OnceValue(func() *template.Template {
	return template.Must(template.ParseFS(pageFiles, "pages/pages.html"))
})

// pages are for browsers: to sign in, and to see at a glance what is going on. They work
// without scripts.
func (s *Server) pages() []route {
	return []route{
		{"GET /{$}", anyone, s.homePage},
		{"GET /setup", anyone, s.setupPage},
		{"POST /setup", anyone, s.setupForm},
		{"GET /sign-in", anyone, s.signInPage},
		{"POST /sign-in", anyone, s.signInForm},
		{"POST /sign-out", anyone, s.signOutForm},
		{"GET /style.css", anyone, s.style},
	}
}

// page is what the templates show.
type page struct {
	Title, Base, Problem, Name, Token, Version, URL string

	Needs, Running, Waiting, Finished, Runners []line
}

// show renders a template.
func (s *Server) show(c *call, status int, name string, p page) error {
	p.Base, p.Version = s.link(""), s.version
	var b bytes.Buffer
	if err := templates().ExecuteTemplate(&b, name, p); err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Referrer-Policy", "same-origin") // the set-up link is a secret
	c.w.WriteHeader(status)
	_, _ = c.w.Write(b.Bytes())
	return nil
}

func (s *Server) style(c *call) error {
	data, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "text/css; charset=utf-8")
	c.w.Header().Set("Cache-Control", "no-cache")
	_, err = c.w.Write(data)
	return err
}

func (s *Server) redirect(c *call, path string) error {
	http.Redirect(c.w, c.r, s.link(path), http.StatusSeeOther)
	return nil
}

func (s *Server) setupPage(c *call) error {
	return s.show(c, http.StatusOK, "setup", page{Title: "Make the owner", Token: c.r.URL.Query().Get("token")})
}

func (s *Server) setupForm(c *call) error {
	if err := c.form(); err != nil {
		return err
	}
	in := api.Setup{Token: c.r.PostForm.Get("token"), Name: c.r.PostForm.Get("name"), Password: c.r.PostForm.Get("password")}
	if err := s.useSetup(c, in); err != nil {
		return s.again(c, err, "setup", page{Title: "Make the owner", Token: in.Token, Name: in.Name})
	}
	if err := s.giveCookie(c, in.Name); err != nil {
		return err
	}
	return s.redirect(c, "/")
}

func (s *Server) signInPage(c *call) error {
	return s.show(c, http.StatusOK, "sign-in", page{Title: "Sign in"})
}

func (s *Server) signInForm(c *call) error {
	if err := c.form(); err != nil {
		return err
	}
	in := api.Login{Name: c.r.PostForm.Get("name"), Password: c.r.PostForm.Get("password")}
	if err := s.checkLogin(c, in); err != nil {
		return s.again(c, err, "sign-in", page{Title: "Sign in", Name: in.Name})
	}
	if err := s.giveCookie(c, in.Name); err != nil {
		return err
	}
	return s.redirect(c, "/")
}

func (s *Server) signOutForm(c *call) error {
	if err := s.authenticate(c, people); err == nil {
		if err := s.signOut(c); err != nil {
			return err
		}
	}
	return s.redirect(c, "/sign-in")
}

// form reads a form's fields.
func (c *call) form() error {
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, formMax)
	err := c.r.ParseForm()
	c.bodyRead()
	var large *http.MaxBytesError
	if err != nil && !errors.As(err, &large) {
		return invalid("the form is damaged")
	}
	return err
}

// again shows a form once more, with what was wrong.
func (s *Server) again(c *call, err error, name string, p page) error {
	e := problem(err)
	p.Problem = e.Message
	if e.Hint != "" {
		p.Problem += ": " + e.Hint
	}
	return s.show(c, status(e.Code), name, p)
}
