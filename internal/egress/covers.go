package egress

// Lacks returns the rules of asked, in canonical form, that allow more than p does. It
// compares rules, not names: what two rules of p cover together, none covers.
func (p Policy) Lacks(asked Policy) []string {
	var lacking []Rule
	for _, r := range asked.allow {
		if !p.covers(r) {
			lacking = append(lacking, r)
		}
	}
	return canonical(lacking)
}

func (p Policy) covers(asked Rule) bool {
	for _, r := range p.allow {
		port := r.port == asked.port || r.port == 0 && (asked.port == portHTTP || asked.port == portHTTPS)
		if port && (r == asked || r.wildcard && (r.names(asked.host) || asked.wildcard && r.host == asked.host) || !asked.wildcard && r.host == asked.host && !r.wildcard) {
			return true
		}
	}
	return false
}
