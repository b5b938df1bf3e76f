/* The floor of physics: mj_step along recorded controls and nothing else, one environment after the other. */

#include <string.h>
#include <mujoco/mujoco.h>

/* states: (environments, mj_stateSize(INTEGRATION)); lengths: (environments,) steps of each;
   controls: (environments, longest, nu); qpos: (environments, nq), filled with the last positions. */
void play(const mjModel* model, mjData* data, int environments, int longest, int frame_skip,
          const double* states, const int* lengths, const double* controls, double* qpos) {
  int size = mj_stateSize(model, mjSTATE_INTEGRATION), nu = model->nu, nq = model->nq;
  for (int i = 0; i < environments; i++) {
    mj_setState(model, data, states + (size_t)i * size, mjSTATE_INTEGRATION);
    for (int t = 0; t < lengths[i]; t++) {
      memcpy(data->ctrl, controls + ((size_t)i * longest + t) * nu, nu * sizeof(double));
      for (int k = 0; k < frame_skip; k++) mj_step(model, data);
    }
    memcpy(qpos + (size_t)i * nq, data->qpos, nq * sizeof(double));
  }
}
