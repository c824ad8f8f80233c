package server

// pages are the few that there are.
func (s *Server) pages() []route { return nil }
