package server

import (
	_ "github.com/getkin/kin-openapi/openapi3"
	_ "github.com/klauspost/compress/zstd"
	_ "github.com/prometheus/client_golang/prometheus/promhttp"
	_ "golang.org/x/crypto/argon2"
	_ "modernc.org/sqlite"
	_ "github.com/cenkalti/backoff/v5"
)
