package main

import (
	"context"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/diag"
	"imprint/internal/steprun"
)

// eventKind is the schema of one kind of event, or of a problem in it.
type eventKind struct {
	Description string
	Properties  map[string]struct {
		Const       string
		Enum        []any
		Type        any
		Description string
		Items       *eventKind
	}
	Required []string
}

// eventKinds returns the kinds of events in the schema, by name.
func eventKinds(t *testing.T) map[string]eventKind {
	t.Helper()
	var schema struct{ OneOf []eventKind }
	if err := json.Unmarshal([]byte(imprint(t, "schema", "--events")), &schema); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]eventKind{}
	for _, k := range schema.OneOf {
		kinds[k.Properties["event"].Const] = k
	}
	return kinds
}

// Events are those of the schema, key by key, and the page explains all of them.
func TestEvents(t *testing.T) {
	kinds, dir, seen := eventKinds(t), t.TempDir(), map[string]bool{}
	page := string(read(t, "../../docs/events.md"))
	for name, k := range kinds {
		_, section, ok := strings.Cut(page, "\n## `"+name+"`\n")
		section, _, _ = strings.Cut(section, "\n## ")
		for key := range k.Properties {
			if !ok || key != "event" && !strings.Contains(section, "`"+key+"`") {
				t.Errorf("docs/events.md does not explain %s of %s", key, name)
			}
		}
	}
	var out strings.Builder
	description := "name = \"data\"\n[[partition]]\nname = \"data\"\ntype = \"linux-generic\"\nfilesystem = \"ext4\"\n"
	large := "[[partition.file]]\npath = \"/large\"\nsource = \"large\"\n" // takes long enough for events of progress on most machines
	writeFile(t, filepath.Join(dir, "large"), strings.Repeat("content\n", 8<<20))
	for name, text := range map[string]string{"good": description + large, "wrong": "nmae = 1\n"} {
		file := filepath.Join(dir, name+".toml")
		writeFile(t, file, text)
		Main(t.Context(), world{&out, io.Discard, []string{"build", file, "-o", filepath.Join(dir, "out.raw"), "--json"}, func(string) string { return "" }})
	}
	for _, text := range []string{"one", "two"} { // generations of a series, with what differs
		file := filepath.Join(dir, "series.toml")
		writeFile(t, file, description+"[[partition.file]]\npath = \"/motd\"\ntext = \""+text+"\"\n")
		args := []string{"build", file, "-o", filepath.Join(dir, "series.raw"), "--json", "--series", "data", "--explain", "--build-store", filepath.Join(dir, "store")}
		Main(t.Context(), world{&out, io.Discard, args, func(string) string { return "" }})
	}
	if !strings.Contains(out.String(), `"why":[{"input":"partition[0].file[0].text","old":"one","new":"two"}]`) {
		t.Errorf("the second generation does not say why it differs:\n%s", out.String())
	}
	writeFile(t, filepath.Join(dir, "raw.toml"), "name = \"data\"\n[[partition]]\nname = \"data\"\ntype = \"linux-generic\"\nfilesystem = \"none\"\ncontent = \"bytes\"\n")
	writeFile(t, filepath.Join(dir, "bytes"), strings.Repeat("no file system", 500))
	image := filepath.Join(dir, "damaged.raw")
	imprint(t, "build", filepath.Join(dir, "raw.toml"), "-o", image)
	damaged := read(t, image)
	damaged[len(damaged)-1] ^= 1
	writeFile(t, image, string(damaged))
	Main(t.Context(), world{&out, io.Discard, []string{"verify", "--json", image}, func(string) string { return "" }})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	served := &untilSaid{&out, `"event":"serving"`, cancel}
	Main(ctx, world{served, io.Discard, []string{"serve", filepath.Join(dir, "good.toml"), "--http", "127.0.0.1:0", "--json"}, func(string) string { return "" }})
	newUI(&out, io.Discard, true).warn(diag.List{{Position: diag.Position{File: "data.toml", Line: 1, Col: 1}, Key: "name", Text: "is odd"}})
	newUI(&out, io.Discard, true).step(steprun.Event{Kind: steprun.Heading, Step: "a", Text: "true"})
	for line := range strings.Lines(out.String()) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		name := event["event"].(string)
		kind, ok := kinds[name]
		if !ok {
			t.Errorf("an event that the schema lacks: %s", line)
		}
		seen[name] = true
		kind.check(t, event)
	}
	for name := range kinds {
		if !seen[name] && name != "progress" {
			t.Errorf("no event %s", name)
		}
	}
}

// check compares an object with its kind: its keys, their types and words.
func (k eventKind) check(t *testing.T, object map[string]any) {
	t.Helper()
	for _, key := range k.Required {
		if _, ok := object[key]; !ok {
			t.Errorf("%v lacks %s", object, key)
		}
	}
	for key, v := range object {
		p, ok := k.Properties[key]
		switch {
		case !ok:
			t.Errorf("%v: the schema lacks %s", object, key)
		case p.Const != "" && v != p.Const, p.Enum != nil && !slices.Contains(p.Enum, v), p.Type != nil && !isOfType(v, p.Type):
			t.Errorf("%v: %s is %v", object, key, v)
		}
		if list, ok := v.([]any); ok && p.Items != nil {
			for _, element := range list {
				p.Items.check(t, element.(map[string]any))
			}
		}
	}
}

// isOfType reports whether a value has a type of JSON Schema, or one of several.
func isOfType(v, want any) bool {
	if list, ok := want.([]any); ok {
		return slices.ContainsFunc(list, func(one any) bool { return isOfType(v, one) })
	}
	switch v := v.(type) {
	case nil:
		return want == "null"
	case string:
		return want == "string"
	case bool:
		return want == "boolean"
	case float64:
		return want == "number" || want == "integer" && v == float64(int64(v))
	case []any:
		return want == "array"
	}
	return want == "object"
}

// An untilSaid calls a function when a text is written to it.
type untilSaid struct {
	io.Writer
	text string
	call func()
}

func (u *untilSaid) Write(p []byte) (int, error) {
	if strings.Contains(string(p), u.text) {
		u.call()
	}
	return u.Writer.Write(p)
}
