package server

import (
	_ "embed"
)

// document describes the API.
//
//go:embed openapi.yaml
var document []byte

// openapi is GET /api/v1/openapi.yaml.
func (s *Server) openapi(c *call) error {
	c.w.Header().Set("Content-Type", "application/yaml")
	_, err := c.w.Write(document)
	return err
}
