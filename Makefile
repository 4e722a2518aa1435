# Needs Go and make. On Debian, testdata/hosttools installs everything else that a target needs.
export PATH := $(PATH):/usr/sbin:/sbin
export GOFLAGS ?= -buildvcs=false -trimpath
export CGO_ENABLED ?= 0
tests = IMPRINT_REQUIRE_TOOLS=1 go test -timeout 30m

help: ## list the targets
	@sed -n 's/^\([a-z/]*\):.*## /  make \1\t/p' Makefile
bin/imprint: ## build the program, static
	@go build -ldflags "-X main.release=$$(git describe --tags --always --dirty 2>/dev/null)" -o bin/imprint ./cmd/imprint
dist: ## build the files of a release in build/dist, for amd64 and arm64
	@go run ./dist
demo: bin/imprint ## build the image of a small system and boot it under QEMU
	@testdata/demo
check: ## run gofmt, go vet and staticcheck
	@testdata/check
test: ## install the host tools; run check and all tests
	@testdata/hosttools test
	@testdata/check
	$(tests) ./...
repro: ## build one image as different users, at different times and places: the bytes are the same
	$(tests) -count=1 -v -run Reproducible ./cmd/imprint
golden: ## rewrite the recorded outputs, plans and digests that tests compare with
	@testdata/golden
matrix: ## boot every description in configs, and write the table in the README
	@testdata/hosttools test
	UPDATE_MATRIX=1 $(tests) -count=1 -v -run BootMatrix ./cmd/imprint
fuzz: ## run every fuzz test for FUZZTIME, 20s by default
	@testdata/fuzz
torture: ## build images while something goes wrong: TORTURE_ROUNDS times, 10 by default, with the moments of TORTURE_SEED
	TORTURE_ROUNDS=$${TORTURE_ROUNDS:-10} $(tests) -count=1 -v -timeout 0 -run Torture ./cmd/imprint
bench: bin/imprint ## compare with other ways to build an image: make bench BENCH="-w S -n 3"
	@testdata/hosttools bench
	go run ./bench $(BENCH)
clean: ## remove what was built
	@chmod -R u+w build 2>/dev/null; rm -rf bin build

.PHONY: help bin/imprint dist demo check test repro golden matrix fuzz torture bench clean
