package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/hosttest"

	"go.yaml.in/yaml/v3"
)

// The templates for CI are YAML, have the parts that their services want, and their scripts are right.
func TestTemplates(t *testing.T) {
	t.Parallel()
	var github struct {
		On   map[string]any
		Jobs map[string]struct {
			RunsOn string `yaml:"runs-on"`
			Needs  string
			Steps  []struct{ Uses, Run string }
		}
	}
	decodeYAML(t, "github.yml", &github)
	scripts := map[string][]string{}
	for name, job := range github.Jobs {
		if job.RunsOn == "" || len(job.Steps) == 0 {
			t.Errorf("github.yml: job %s has no runner or no steps", name)
		}
		for _, step := range job.Steps {
			if (step.Uses == "") == (step.Run == "") {
				t.Errorf("github.yml: a step of %s has not one of uses and run", name)
			}
			scripts["github.yml"] = append(scripts["github.yml"], step.Run)
		}
	}
	if len(github.On) == 0 || github.Jobs["publish"].Needs != "build" {
		t.Error("github.yml: nothing starts it, or publish does not wait for build")
	}

	type job struct {
		Stage  string
		Script []string
	}
	var gitlab struct {
		Stages                []string
		Build, Check, Publish job
		Default               struct {
			BeforeScript []string `yaml:"before_script"`
		}
	}
	decodeYAML(t, "gitlab.yml", &gitlab)
	scripts["gitlab.yml"] = gitlab.Default.BeforeScript
	for _, j := range []job{gitlab.Build, gitlab.Check, gitlab.Publish} {
		if !slices.Contains(gitlab.Stages, j.Stage) || len(j.Script) == 0 {
			t.Errorf("gitlab.yml: a job of stage %q with %d commands", j.Stage, len(j.Script))
		}
		scripts["gitlab.yml"] = append(scripts["gitlab.yml"], j.Script...)
	}
	for file, list := range scripts {
		script := strings.Join(list, "\n")
		hosttest.Run(t, "sh", "-n", "-c", script)
		if checkFlags(t, script) < 2 || !strings.Contains(script, "imprint build image.toml") || !strings.Contains(script, "cmp ") {
			t.Errorf("%s does not build and check an image:\n%s", file, script)
		}
	}
}

func decodeYAML(t *testing.T, name string, into any) {
	t.Helper()
	if err := yaml.Unmarshal(read(t, filepath.Join("../../docs/ci", name)), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
