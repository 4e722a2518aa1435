package language

import "imprint/internal/keyed"

// Bounds of steps.
const (
	maxSteps      = 1024
	maxSeconds    = 7 * 24 * 3600
	maxProcesses  = 1 << 22
	maxStepInputs = 256
)

// steps describes the keys of steps.
var steps = map[string]keyed.Rule{
	"step": {
		Doc: "A command that runs in the tree of the layers below it, as root of a user namespace, and makes what it writes a layer: in each [[partition.layer]] that names " +
			"the step. It sees that tree, its inputs and nothing else of the host. What it has made is kept in the build store, by the digest of the step and of the tree, so that it runs once.",
		Most: maxSteps,
	},
	"step.name":      {Doc: "Name, for layers and messages.", Required: true, Pattern: LayerNameForm},
	"step.run":       {Doc: "The program and its arguments. Without a slash the program is looked for in the PATH of the step.", Required: true},
	"step.env":       {Doc: "Environment variables. Without them there are only PATH, HOME, LC_ALL, TZ, DEBIAN_FRONTEND and SOURCE_DATE_EPOCH."},
	"step.user":      {Doc: "User that runs it: a name of /etc/passwd in the tree, or a number. Default: root.", Pattern: UserForm},
	"step.group":     {Doc: "Group that runs it: a name of /etc/group in the tree, or a number. Default: that of the user.", Pattern: UserForm},
	"step.directory": {Doc: "Directory of the tree that it runs in.", Pattern: absoluteForm},
	"step.network":   {Doc: "Let it use the network of the host. What it fetches has to be the same each time for the image to be the same."},

	"step.inputs":          {Doc: "Files and directories of the host that the step sees: a copy, whose digest is part of that of the step. Owners and times of the host are not.", Most: maxStepInputs},
	"step.inputs.source":   {Doc: "File or directory on the host.", Required: true},
	"step.inputs.target":   {Doc: "Where it is in the tree. What is missing there is made, and is no part of the result.", Required: true, Pattern: absoluteForm},
	"step.inputs.writable": {Doc: "Let the step write to its copy, which is discarded afterwards."},

	"step.outputs": {Doc: "Paths whose changes are the result, with everything below them; each has to be there afterwards. Without it all changes are."},

	"step.cache": {
		Doc: "Directories that later runs of this step and of others get again, such as those of package managers, with what successful ones have written. " +
			"They are no part of the result, and owners are not kept in them.",
		Most: maxStepInputs,
	},
	"step.cache.name":   {Doc: "Name of the cache in the build store.", Required: true, Pattern: LayerNameForm},
	"step.cache.target": {Doc: "Where it is in the tree.", Required: true, Pattern: absoluteForm},

	"step.timeout":   {Doc: "Seconds after which it is ended and counts as failed. Default: no limit.", Most: maxSeconds},
	"step.memory":    {Doc: "Most address space of each process. Default: no limit."},
	"step.file-size": {Doc: "Size of the largest file that it may write. Default: no limit."},
	"step.processes": {Doc: "Most processes of its user, unless that is root. Default: no limit.", Most: maxProcesses},

	"partition.layer.step": {Doc: "Step whose result is the layer. It runs over the layers before it.", Pattern: LayerNameForm},
}
