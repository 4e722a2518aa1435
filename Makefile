# Needs Go and make; on Debian the rest is installed when a target needs it (testdata/hosttools).
export PATH := $(PATH):/usr/sbin:/sbin
export GOFLAGS ?= -buildvcs=false
STATICCHECK := honnef.co/go/tools
STATICCHECK_VERSION := v0.8.2
FUZZTIME ?= 20s

help: ## this list
	@sed -n 's/^\([a-z/]*\):.*## /  make \1\t/p' Makefile

bin/imprint: ## the program
	@go build -o bin/imprint ./cmd/imprint

demo: ## build a small system's image and boot it under QEMU
	@echo '1. host tools'; testdata/hosttools demo
	@echo '2. imprint'; go build -o bin/imprint ./cmd/imprint
	@echo '3. a store with a system that boots'; go run ./internal/demostore/make build/demo
	@echo '4. its image: configs/hello.toml'; bin/imprint build configs/hello.toml -o build/demo/hello.raw
	@echo '5. boot it under QEMU, without KVM'; go run ./internal/qemutest/boot build/demo/hello.raw

test: ## everything: style, vet, staticcheck, all tests with all tools, boots, real Nix
	@testdata/hosttools test
	@$(MAKE) -s --no-print-directory check
	IMPRINT_REQUIRE_TOOLS=1 go test ./...

check: ## gofmt, go vet, staticcheck
	@bad=$$(gofmt -l .); [ -z "$$bad" ] || { echo "to be formatted: $$bad"; exit 1; }
	go vet ./...
	@if go mod download $(STATICCHECK)@$(STATICCHECK_VERSION); then echo staticcheck ./...; \
	go run $(STATICCHECK)/cmd/staticcheck@$(STATICCHECK_VERSION) ./...; else echo "staticcheck cannot be downloaded: left out"; fi

bench: ## compare with other ways to build an image: BENCH="-w S -n 3"
	@testdata/hosttools bench
	@go build -o bin/imprint ./cmd/imprint
	go run ./bench $(BENCH)

repro: ## build one image under different users, clocks, locales and places: the same bytes
	IMPRINT_REQUIRE_TOOLS=1 go test -count=1 -v -run Reproducible ./cmd/imprint

matrix: ## boot every description in configs, and write the table in the README
	@testdata/hosttools test
	IMPRINT_REQUIRE_TOOLS=1 UPDATE_MATRIX=1 go test -count=1 -v -run BootMatrix ./cmd/imprint

golden: ## write anew what tests compare with: the JSON Schema, the outputs in scripts, the plans and digests of configs
	go run ./cmd/imprint schema > configs/imprint.schema.json
	UPDATE_SCRIPTS=1 UPDATE_GOLDEN=1 go test -count=1 -run 'Script$$|Golden$$' ./cmd/imprint

fuzz: ## every fuzz test for FUZZTIME (20s)
	@go test -list '^Fuzz' ./... | awk '/^Fuzz/ {f[++n] = $$1} /^ok/ {for (i = 1; i <= n; i++) print $$2, f[i]; n = 0}' | \
	while read -r package f; do go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$package || exit 1; done

clean: ## remove what was built
	@chmod -R u+w build 2>/dev/null; rm -rf bin build

.PHONY: help bin/imprint demo test check bench repro matrix golden fuzz clean
