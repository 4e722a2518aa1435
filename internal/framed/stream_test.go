package framed

import (
	"io"
	"slices"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

// A stream reads what was appended, and refuses what is too long before it takes memory for it.
func TestStream(t *testing.T) {
	text := slices.Concat(AppendNumber(nil, 7), AppendString(nil, "hello"), AppendNumber(nil, 2), AppendString(nil, "a"), AppendString(nil, "bc"), []byte("raw"))
	s := NewStream(strings.NewReader(string(text)))
	if n, err := s.Number(); n != 7 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if got, err := s.String(5); got != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := s.Strings(100); !slices.Equal(got, []string{"a", "bc"}) || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := io.ReadAll(s); string(got) != "raw" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for said, want := range map[string]string{
		string(AppendString(nil, "123456")):                      "a text of 6 bytes where at most 5 are expected",
		string(AppendNumber(nil, 1<<63)):                         "where at most 5 are expected",
		string(AppendString(nil, "123")[:10]):                    "unexpected EOF",
		string(AppendNumber(nil, 3)) + "123\x00\x01\x00\x00\x00": "damaged at byte 16: its padding is not zero",
		"": "EOF",
	} {
		if _, err := NewStream(strings.NewReader(said)).String(5); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", said, err, want)
		}
	}
	if _, err := NewStream(strings.NewReader(string(AppendNumber(nil, 1<<40)))).Strings(1000); err == nil || !strings.Contains(err.Error(), "texts where at most 125 are expected") {
		t.Errorf("%v", err)
	}
}

func FuzzStream(f *testing.F) {
	f.Add(string(AppendString(AppendNumber(nil, 1), "abc")))
	f.Add("\xff\xff\xff\xff\xff\xff\xff\x7f")
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		list, err := NewStream(strings.NewReader(text)).Strings(100)
		if total := len(strings.Join(list, "")); err == nil && total > 100 {
			t.Errorf("%d bytes", total)
		}
	})
}
