package repro

import "testing"

// The identifiers are part of what users rely on between versions: a change here changes every image.
func TestIdentifiersAreFixed(t *testing.T) {
	s := SeedOf("hello")
	if got := s.String(); got != "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" {
		t.Errorf("seed %s", got)
	}
	if got := s.UUID("disk"); got.Version() != 5 || got.Variant().String() != "RFC4122" {
		t.Errorf("%s is no version 5 UUID", got)
	}
	if s.UUID("disk") == s.UUID("root") || s.UUID("disk") == SeedOf("world").UUID("disk") {
		t.Error("different names or seeds give the same UUID")
	}
	if s.UUID("disk") != SeedOf("hello").UUID("disk") || s.Uint32("esp") != SeedOf("hello").Uint32("esp") {
		t.Error("the same seed and name give different identifiers")
	}
}
