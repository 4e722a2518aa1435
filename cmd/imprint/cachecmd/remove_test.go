package cachecmd

import (
	"testing"
	"time"
)

func TestWhen(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"": "2026-01-31T12:00:00Z", "30s": "2026-01-31T11:59:30Z", "90m": "2026-01-31T10:30:00Z", "12h": "2026-01-31T00:00:00Z", "30d": "2026-01-01T12:00:00Z",
		"2026-01-02": "2026-01-02T00:00:00Z", "2026-01-02T03:04:05+01:00": "2026-01-02T02:04:05Z",
	} {
		if got, err := when(text, now); err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"12", "h", "-1h", "1w", "2026-13-01", "yesterday", "9999999d"} {
		if got, err := when(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
