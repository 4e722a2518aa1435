package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"imprint/image/write"
	"imprint/internal/diag"
	"imprint/internal/interrupt"
	"imprint/internal/units"

	"golang.org/x/term"
)

// An event is a line of JSON for machines.
type event map[string]any

// ui is the user interface: results go to out, progress to err. Progress is one line that is rewritten on a terminal, and one
// line for each stage in a pipe. With --json, both are events on out.
type ui struct {
	out, err io.Writer
	raw      io.Writer // err unfiltered, for output that moves the cursor
	json     bool
	live     bool
	width    int
	stop     func()
	failed   error // of writing to out
}

func newUI(out, err io.Writer, json bool) *ui {
	u := &ui{out: out, err: visible{err}, raw: err, json: json, stop: func() {}}
	if f, ok := err.(*os.File); ok && !json && terminal(f) {
		u.live = true
		u.width, _, _ = term.GetSize(int(f.Fd()))
	}
	return u
}

func terminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// event prints an event as a line of JSON.
func (u *ui) event(e event) {
	line, err := json.Marshal(e)
	if err == nil {
		_, err = fmt.Fprintf(u.out, "%s\n", line)
	}
	if err != nil && u.failed == nil {
		u.failed = err
	}
}

// stage reports the start of a stage.
func (u *ui) stage(name, text string) {
	u.stop()
	u.stop = func() {}
	switch {
	case u.json:
		u.event(event{"event": "stage", "stage": name})
	case u.live:
		u.line(text)
	case text != "":
		fmt.Fprintln(u.err, text)
	}
}

// mostWarnings is the number of warnings that are printed one by one.
const mostWarnings = 20

// warn prints warnings about a description.
func (u *ui) warn(list diag.List) {
	for i, p := range list {
		switch {
		case u.json:
			u.event(event{"event": "warning", "file": p.File, "line": p.Line, "column": p.Col, "key": p.Key, "problem": p.Text, "hint": p.Hint})
		case i < mostWarnings:
			u.clear()
			fmt.Fprintf(u.err, "warning: %v\n", p)
		}
	}
	if n := len(list) - mostWarnings; n > 0 && !u.json {
		fmt.Fprintf(u.err, "warning: and %d more\n", n)
	}
}

// line replaces the progress line. It cuts text that is too long.
func (u *ui) line(text string) {
	if u.width > 4 && len(text) >= u.width {
		text = text[:u.width-1]
	}
	fmt.Fprint(u.raw, "\r\x1b[K", escaped(oneLine(text)))
}

// clear removes the progress line.
func (u *ui) clear() {
	u.stop()
	u.stop = func() {}
	if u.live {
		fmt.Fprint(u.raw, "\r\x1b[K")
	}
}

// meter shows the progress of packing or writing until the next stage, or the next meter.
func (u *ui) meter(m *write.Meter) {
	u.stop()
	every := 100 * time.Millisecond
	if !u.live && !u.json {
		every = 10 * time.Second
	}
	start := time.Now()
	u.stop = interrupt.Every(every, func() bool { u.progress(m, time.Since(start)); return true })
}

func (u *ui) progress(m *write.Meter, spent time.Duration) {
	done := m.Written()
	if u.json {
		e := event{"event": "progress", "stage": "write", "bytes": done, "total": m.Total}
		if m.Packs != "" {
			e["stage"], e["partition"] = "pack", m.Packs
		}
		u.event(e)
		return
	}
	rate := float64(done) / spent.Seconds()
	text := fmt.Sprintf("%s %s of %s, %s/s", cmp.Or(packing(m), "writing"), units.FormatBytes(done), units.FormatBytes(m.Total), units.FormatBytes(int64(rate)))
	if rate > 0 && m.Total > done {
		text += fmt.Sprintf(", %.0f s left", float64(m.Total-done)/rate)
	}
	if u.live {
		u.line(text)
	} else {
		fmt.Fprintln(u.err, text)
	}
}

// packing names the file system that is packed, "" if there is none.
func packing(m *write.Meter) string {
	if m.Packs == "" {
		return ""
	}
	return "packing " + m.Packs + ":"
}

// A visible writer escapes control characters, except newlines and tabs. It is the last line of defence between a terminal,
// which takes some bytes as commands, and file names, which in a store or an archive may contain any.
type visible struct{ io.Writer }

// Write implements io.Writer. A character must not be split between calls.
func (v visible) Write(p []byte) (int, error) {
	if _, err := io.WriteString(v.Writer, escaped(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// escaped escapes what a terminal would not show. Characters above ASCII get the form that JSON uses.
func escaped(text string) string {
	if strings.IndexFunc(text, isHidden) < 0 {
		return text
	}
	var out strings.Builder
	for i, r := range text {
		_, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size > 1:
			out.WriteRune(r)
		case r == utf8.RuneError, r < 0x80 && isHidden(r):
			fmt.Fprintf(&out, `\x%02x`, text[i])
		case isHidden(r):
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// isHidden reports control characters of ASCII and Latin-1, invalid UTF-8, and characters that change the direction of writing
// or end a line.
func isHidden(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < 0x20, 0x7f <= r && r < 0xa0, r == utf8.RuneError: // also U+FFFD itself
		return true
	}
	return 0x200e <= r && r <= 0x200f || 0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 || r == 0xfeff
}

// oneLine escapes a name or message that must not contain a newline.
func oneLine(text string) string { return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(text) }
