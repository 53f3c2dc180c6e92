// Command kstatus says what kstatus makes of objects: each line of the standard input is one as JSON, each line of the
// output its status and message. An object that kstatus cannot read is Unknown, as it is to those who wait by it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type answer struct {
	Status  status.Status `json:"status"`
	Message string        `json:"message"`
}

func judge(line []byte) (said answer) {
	// kstatus trusts the shape of some fields, such as a Pod's containerStatuses, and panics when it is another.
	defer func() {
		if cause := recover(); cause != nil {
			said = answer{status.UnknownStatus, fmt.Sprint(cause)}
		}
	}()
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(line); err != nil {
		return answer{status.UnknownStatus, err.Error()}
	}
	result, err := status.Compute(object)
	if err != nil {
		return answer{status.UnknownStatus, err.Error()}
	}
	return answer{result.Status, result.Message}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := answers.Encode(judge(lines.Bytes())); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
