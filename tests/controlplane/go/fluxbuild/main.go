// Command fluxbuild does what Flux's kustomize-controller does between a source and the cluster, by Flux's own packages.
// Each line of the standard input is a question, each line of the output its answer, as JSON: either a text whose
// variables are to be replaced, or a directory to be built for a Kustomization.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fluxcd/pkg/envsubst"
	"github.com/fluxcd/pkg/kustomize"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type question struct {
	// Text is given its variables.
	Text      *string           `json:"text"`
	Variables map[string]string `json:"variables"`
	Strict    bool              `json:"strict"`
	// Root is the directory of an artifact; what the build needs is written into it.
	Root          string         `json:"root"`
	Kustomization map[string]any `json:"kustomization"`
	Always        bool           `json:"always"`
}

type answer struct {
	Output string `json:"output"`
	Error  string `json:"error"`
}

func answered(asked question) (said answer) {
	defer func() {
		if cause := recover(); cause != nil {
			said = answer{Error: fmt.Sprint("panic: ", cause)}
		}
	}()
	var output string
	var err error
	if asked.Text != nil {
		output, err = envsubst.Eval(*asked.Text, func(name string) (string, bool) {
			value, exists := asked.Variables[name]
			return value, exists || !asked.Strict
		})
	} else {
		output, err = built(asked)
	}
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Output: output}
}

func built(asked question) (string, error) {
	object := unstructured.Unstructured{Object: asked.Kustomization}
	path, _, err := unstructured.NestedString(object.Object, "spec", "path")
	if err != nil {
		return "", err
	}
	directory := filepath.Join(asked.Root, path)
	if _, err := kustomize.NewGenerator(asked.Root, object).WriteFile(directory); err != nil {
		return "", err
	}
	found, err := kustomize.SecureBuild(asked.Root, directory, false)
	if err != nil {
		return "", err
	}
	_, substitutes, _ := unstructured.NestedMap(object.Object, "spec", "postBuild")
	for _, item := range found.Resources() {
		if !substitutes {
			continue
		}
		// A dry run takes the variables of the spec, and asks no cluster for others.
		changed, err := kustomize.SubstituteVariables(context.Background(), nil, object, item,
			kustomize.SubstituteWithDryRun(true),
			kustomize.SubstituteWithStrict(asked.Strict),
			kustomize.SubstituteWithAlways(asked.Always))
		if err != nil {
			return "", err
		}
		if changed != nil {
			if _, err := found.Replace(item); err != nil {
				return "", err
			}
		}
	}
	output, err := found.AsYaml()
	return string(output), err
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := answers.Encode(answered(asked)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
