package main

import _ "embed"

//go:embed mcp.py
var mcpServer string // never changed

// mcpFiles is a workspace with an MCP server that speaks stdio.
func mcpFiles() map[string]string { return map[string]string{"mcp.py": mcpServer} }

// dotPNG is an image of one pixel.
const dotPNG = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89" +
	"\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"
